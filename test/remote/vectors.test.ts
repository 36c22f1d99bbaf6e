/**
 * Replays recorded requests of the first implementation to the receiver: the same files before, the same bytes, the same answer. Where a record
 * names a defect, the answer is what its text asks for.
 */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { makeDirectory } from '../support/child.js'
import { exchange, serve } from './server.js'

interface Entry {
  readonly path: string
  readonly type: 'dir' | 'file' | 'fifo' | 'link'
  readonly mode: string
  readonly content?: string | { readonly base64: string }
}

interface Recorded {
  readonly id: string
  readonly env: Readonly<Record<string, string>>
  readonly before: readonly Entry[]
  readonly after: readonly Entry[]
  readonly request: string | { readonly base64: string }
  readonly response: { readonly status: string; readonly body: string }
  readonly response_json?: unknown
  readonly defect?: string
}

const { jsonrpc } = JSON.parse(
  fs.readFileSync(new URL('../vectors/hosts.json', import.meta.url), 'utf8'),
) as {
  readonly jsonrpc: readonly Recorded[]
}

const ITEM = '_20120710213904_0_13044_mss_0_args_to'
/** Answers that differ, by the records: a code, or a result. */
const OURS: Readonly<Record<string, number | string | readonly string[]>> = {
  'enqueue: already waits': -32603,
  'enqueue: lone surrogate in data': -32602,
  'enqueue: queue without tmp/': -32603,
  'enqueue: queue without queue/': -32603,
  'enqueue: queue name empty': -32603,
  'enqueue: name is a number': -32602,
  'enqueue: name with /': -32602,
  'enqueue: absolute name': -32602,
  // Payload text is always UTF-8.
  'enqueue: server FSQ_CHARSET=latin-1, euro sign': ITEM,
  // By which a sender of this package knows its receiver.
  'system.listMethods': [
    ...['api_version', 'enqueue', 'fsq.about', 'is_down', 'system.listMethods', 'system.methodHelp'],
    ...['system.methodSignature', 'trigger_pull'],
  ],
}
/** Files that differ: the tries were of the delivery, an error leaves nothing, and payload text is UTF-8. */
const FILES: Readonly<Record<string, Readonly<Record<string, string | undefined>>>> = {
  'enqueue: tries kept': {
    'q/queue/_20120710213906_0_13044_mss_1_c': undefined,
    'q/queue/_20120710213906_0_13044_mss_0_c': 'x',
  },
  'enqueue: server FSQ_CHARSET=latin-1': { [`q/queue/${ITEM}`]: 'é' },
  'enqueue: server FSQ_CHARSET=latin-1, euro sign': { [`q/queue/${ITEM}`]: '€' },
  'enqueue: lone surrogate in data': { [`q/queue/${ITEM}`]: undefined },
  'enqueue: queue without queue/': { [`q/tmp/${ITEM}`]: undefined },
  'enqueue: queue name empty': { [`queue/${ITEM}`]: undefined },
}

function bytes(content: Entry['content'] = ''): Buffer {
  return typeof content === 'string' ? Buffer.from(content) : Buffer.from(content.base64, 'base64')
}

function look(root: string): Record<string, string> {
  const names = fs.readdirSync(root, { recursive: true, encoding: 'utf8' })
  const files = names.filter(
    (name) => fs.lstatSync(path.join(root, name)).isFile() && !name.includes('received/'),
  )
  return Object.fromEntries(files.map((name) => [name, fs.readFileSync(path.join(root, name), 'utf8')]))
}

const replayed = jsonrpc.filter(({ before }) =>
  before.every(({ type }) => ['dir', 'file', 'fifo'].includes(type)),
)

test.each(replayed.map((record) => [record.id, record] as const))('%s', async (id, record) => {
  const root = makeDirectory({ quick: true })
  for (const entry of record.before) {
    const file = path.join(root, entry.path)
    if (entry.type === 'dir') fs.mkdirSync(file)
    else if (entry.type === 'fifo') spawnSync('mkfifo', [file])
    else fs.writeFileSync(file, bytes(entry.content))
    fs.chmodSync(file, Number.parseInt(entry.mode, 8))
  }
  if (!fs.existsSync(path.join(root, 'q'))) fs.mkdirSync(path.join(root, 'q'))
  const charset = record.env['FSQ_CHARSET']
  const served = await serve({ queues: 'all', ...(charset !== undefined && { charset }) }, root)
  const [head = '', body = ''] = bytes(record.request)
    .toString('latin1')
    .split(/\r\n\r\n(.*)/s)
  const sent = body.replace('$ROOT', root)
  const length = sent === body ? head : head.replace(/Content-Length: \d+/, `Content-Length: ${sent.length}`)
  const answer = await exchange(served.port, Buffer.from(`${length}\r\n\r\n${sent}`, 'latin1'))
  await served.close()

  const [, status = '', fields = '', rest = ''] =
    /^HTTP\/1\.1 (\d+)[^\r]*\r\n(.*?)\r\n\r\n(.*)$/s.exec(answer) ?? []
  // A second request on the connection has an answer of its own.
  const text = rest.slice(0, Number(/content-length: (\d+)/i.exec(fields)?.[1] ?? rest.length))
  const wanted = /^\S+ (\d+)/.exec(record.response.status)?.[1]
  expect(status).toBe(id === 'Content-Length: abc' ? '400' : wanted)
  if (record.response_json !== undefined && status === '200') {
    const ours = OURS[id]
    const faults = (json: unknown): unknown =>
      JSON.parse(JSON.stringify(json), (key, value: unknown) => (key === 'message' ? '' : value))
    if (ours === undefined) expect(faults(JSON.parse(text))).toEqual(faults(record.response_json))
    else if (typeof ours === 'number')
      expect(JSON.parse(text)).toMatchObject({ result: null, error: { code: ours } })
    else expect(JSON.parse(text)).toMatchObject({ result: ours, error: null })
    // Byte for byte, where nothing but the text of an error differs.
    if (ours === undefined && !text.includes('"message"')) expect(text).toBe(record.response.body)
  }
  const files = Object.fromEntries(
    record.after
      .filter(({ type }) => type === 'file')
      .map((entry) => [entry.path, bytes(entry.content).toString()]),
  )
  const changed: Record<string, string | undefined> = { ...files, ...FILES[id] }
  const isRefused = typeof OURS[id] === 'number'
  const expected = Object.fromEntries(Object.entries(changed).filter(([, content]) => content !== undefined))
  const before = Object.fromEntries(
    record.before
      .filter(({ type }) => type === 'file')
      .map((entry) => [entry.path, bytes(entry.content).toString()]),
  )
  expect(look(root)).toEqual(isRefused ? before : expected)
})
