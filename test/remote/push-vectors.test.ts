/**
 * Replays recorded pushes of the first implementation: the same files before, the same answers, and the same requests, byte for byte. Where
 * ours differs, the record says which rule of the compatible protocol makes it so.
 */
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import path from 'node:path'

import { afterEach, expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { tryLockSync } from '../../src/lock.js'
import { pushItem } from '../../src/remote.js'
import { RECORDS, type Recorded, build, commandOf, look, wanted } from '../hosts/recorded.js'
import { useCommandBed } from '../support/command.js'
import { I } from './server.js'

interface Push extends Recorded {
  readonly argv: readonly string[]
  readonly requests: readonly string[]
  /** `null`: the connection is closed. 'mute': nothing comes. */
  readonly answers: readonly (string | null)[]
  readonly rc: number | string
  readonly stdout: string
  readonly stderr: string
}

const { push: records } = RECORDS as { readonly push: readonly Push[] }
// The path of a socket has room for about a hundred bytes.
const bed = useCommandBed({ quick: true })
const K = '_20120710213906_0_13044_mss_1_c'
const METHODS = '{"error": null, "result": ["api_version", "enqueue", "trigger_pull"], "id": "$ID"}'

/** What differs in ours. */
interface Ours {
  readonly why: string
  readonly rc?: number
  /** Exits with 0, and has a message all the same. */
  readonly says?: true
  readonly argv?: (argv: readonly string[]) => readonly string[]
  readonly requests?: readonly string[]
  /** Where an item comes to be, by its name. */
  readonly moves?: Readonly<Record<string, 'done'>>
}

const ANSWERED = 'The recording server answered with the name of another item: ours compares it.'

/** The request that brings an item. */
function enqueueOf(name: string, data: string, host = '127.0.0.1:$PORT'): string {
  const body = `{"jsonrpc": "2.0", "params": ["${name}", "trg", "${data}"], "id": "$ID", "method": "enqueue"}`
  return requestOf(body, host)
}

function requestOf(body: string, host = '127.0.0.1:$PORT'): string {
  const head = `POST / HTTP/1.1\r\nHost: ${host}\r\nAccept-Encoding: gzip\r\nUser-Agent: jsonrpclib/0.1 (Python 2.7.18)`
  // The id has eight characters.
  const length = body.replace('$ID', '12345678').length
  return `${head}\r\nContent-Type: application/json-rpc\r\nContent-Length: ${length}\r\n\r\n${body}`
}

const OURS: Readonly<Record<string, Ours>> = {
  'push -t: trigger refused': {
    why: 'An error of the trigger does not undo the delivery.',
    rc: 0,
    says: true,
  },
  'push: result is another name': { why: 'The name in the answer is compared.', rc: 111 },
  'push: connection closed without an answer': {
    why: 'No request is repeated in silence.',
    rc: 111,
    requests: [enqueueOf(I, String.raw`payload\n`)],
  },
  'push: no answer': {
    why: 'A receiver has a time in which to answer.',
    rc: 111,
    argv: ([fsq = '', command = '', ...more]) => [fsq, command, '--timeout=1', ...more],
  },
  'push: unix://, something listens': {
    why: 'unix:// works.',
    rc: 0,
    requests: [enqueueOf(I, String.raw`payload\n`, 'localhost')],
  },
  'push: -p xml': { why: 'A bad value of an option is bad usage.', rc: 100 },
  'push: host down, queue down': { why: 'As there: neither file keeps a push from its item.' },
  'push: tries 1, FSQ_MAX_TRIES 1': {
    why: 'A push fails no item by its tries, and sends tries 0.',
    rc: 0,
    requests: [enqueueOf(K.replace('_1_c', '_0_c'), 'x')],
  },
  'push: item without arguments, empty payload': { why: ANSWERED, rc: 111 },
  'push: non-ASCII name': { why: ANSWERED, rc: 111 },
  'push: binary payload, FSQ_CHARSET=latin-1': {
    why: 'Contents are text in UTF-8 or a stream, whatever the charset, and this receiver takes no stream.',
    rc: 111,
    requests: [requestOf('{"jsonrpc": "2.0", "params": [], "id": "$ID", "method": "system.listMethods"}')],
  },
  'scan -A h1 runs push without -L': {
    why: 'The item on standard input is locked by the scan around the push.',
    rc: 0,
    requests: [enqueueOf(I, String.raw`payload\n`)],
    moves: { [I]: 'done' },
  },
  'scan -A h1 -m 5 runs push -L, second try': {
    why: 'A push fails no item by its tries, and sends tries 0.',
    rc: 0,
    requests: [enqueueOf(K.replace('_1_c', '_0_c'), 'x')],
    moves: { [K]: 'done' },
  },
}

/** Plays the recorded answers, and keeps the requests. */
class Recorder {
  readonly requests: string[] = []
  readonly #server: net.Server
  readonly #sockets = new Set<net.Socket>()
  #answered = 0

  constructor(answers: Push['answers'] = []) {
    this.#server = net.createServer((socket) => {
      this.#sockets.add(socket)
      let text = ''
      socket.on('error', () => undefined).setEncoding('latin1')
      socket.on('data', (more: string) => {
        text += more
        for (let end = endOf(text); end !== undefined; end = endOf(text)) {
          const request = text.slice(0, end)
          text = text.slice(end)
          this.requests.push(request)
          const name = /"params": \["([^"]*)"/.exec(request)?.[1] ?? I
          const recordedAnswer = request.includes('listMethods')
            ? `HTTP/1.0 200 OK\r\n\r\n${METHODS}`
            : answers.length > 0
              ? answers[this.#answered++]
              : `HTTP/1.0 200 OK\r\n\r\n{"error": null, "result": "${name}", "id": "$ID"}`
          if (recordedAnswer === 'mute') continue
          if (typeof recordedAnswer === 'string') socket.write(withLength(recordedAnswer, request))
          socket.end()
        }
      })
    })
  }

  async listen(at: string | number = 0): Promise<string> {
    if (typeof at === 'string') this.#server.listen(at)
    else this.#server.listen(at, '127.0.0.1')
    await once(this.#server, 'listening')
    const address = this.#server.address()
    return typeof address === 'string' ? address : String((address as AddressInfo).port)
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }
}

/** Where the first request in a text ends; `undefined`: it is not there yet. */
function endOf(text: string): number | undefined {
  const head = text.indexOf('\r\n\r\n')
  const length = Number(/content-length: (\d+)/i.exec(text)?.[1])
  return head >= 0 && text.length >= head + 4 + length ? head + 4 + length : undefined
}

/** An answer to a request: with its id, and the length that the body has then. */
function withLength(answer: string, request: string): string {
  const [head = '', body = ''] = answer.replace('$ID', idOf(request)).split(/\r\n\r\n(.*)/s)
  return `${head.replace(/\r\nContent-length: \d+/, '')}\r\nContent-length: ${body.length}\r\n\r\n${body}`
}

function idOf(request: string): string {
  return /"id": "([a-z0-9]{8})"/.exec(request)?.[1] ?? 'no id'
}

/** A request of ours in the form of the records. Two headers differ: the name of the client, and that the connection may be kept. */
function inTheirForm(request: string, port: string): string {
  expect(request).toMatch(/\r\nUser-Agent: fsq\r\n/)
  return request
    .replace(`"id": "${idOf(request)}"`, '"id": "$ID"')
    .replace(`127.0.0.1:${port}\r\n`, '127.0.0.1:$PORT\r\n')
    .replace('User-Agent: fsq\r\n', 'User-Agent: jsonrpclib/0.1 (Python 2.7.18)\r\n')
    .replace(/\r\nConnection: (keep-alive|close)/i, '')
}

const recorders: Recorder[] = []
afterEach(() => {
  for (const recorder of recorders.splice(0)) recorder.close()
})

function record(answers?: Push['answers']): Recorder {
  const recorder = new Recorder(answers)
  recorders.push(recorder)
  return recorder
}

test('each difference is one of a record', () => {
  const ids = records.map(({ id }) => id)
  expect(Object.keys(OURS).filter((id) => !ids.includes(id))).toEqual([])
  // A record that names a defect is judged.
  expect(
    records.filter(({ id, defect }) => defect !== undefined && !(id in OURS)).map(({ id }) => id),
  ).toEqual([])
})

test.each(records.map((one) => [one.id, one] as const))('%s', async (id, one) => {
  const ours = OURS[id] ?? { why: '' }
  build(bed.root, one.before)
  const recorder = record(id.includes('unix://') ? [] : one.answers.length > 0 ? one.answers : undefined)
  const socket = bed.bed.path('socket')
  const port = await recorder.listen(id.includes('unix://') ? socket : 0)
  const item = path.join(bed.root, 'src/hosts/h1/queue', I)
  const lock = id.includes('locked by another') ? tryLockSync(item) : undefined
  const argv = (ours.argv?.(one.argv) ?? one.argv).map((arg) =>
    arg.replace('$PORT', port).replace('$ROOT/sock', socket),
  )
  const { code, stdout, stderr } = await bed.sh(commandOf({ argv }), { env: one.env })
  lock?.unlock()

  expect({ code, stdout }).toEqual({ code: ours.rc ?? one.rc, stdout: one.stdout })
  // Messages are in our words, except that of -v.
  if (id === 'push -v') expect(stderr).toBe(one.stderr.replace('$PORT', port))
  else {
    const theirs = ours.rc === undefined && one.stderr !== ''
    expect(stderr !== '').toBe(code !== 0 || ours.says === true || theirs)
  }
  expect(recorder.requests.map((request) => inTheirForm(request, port))).toEqual(
    ours.requests ?? one.requests,
  )
  const entries =
    ours.rc === undefined
      ? one.after
      : one.before.map((entry) => {
          const to = ours.moves?.[path.basename(entry.path)]
          return to === undefined ? entry : { ...entry, path: entry.path.replace('/queue/', `/${to}/`) }
        })
  expect(Object.fromEntries(look(bed.root))).toEqual(Object.fromEntries(wanted(entries)))
})

/** Those that are about what is sent, and need no option of the command. */
const PLAIN = records.filter(
  ({ id, requests, env }) =>
    id.startsWith('push') &&
    requests.length > 0 &&
    Object.keys(env).length === 0 &&
    OURS[id]?.requests === undefined &&
    !/locked|down|HTTP|answer|error|refused|result/.test(id),
)

test.each(PLAIN.map((one) => [one.id, one] as const))('the library sends the same: %s', async (id, one) => {
  build(bed.root, one.before)
  const recorder = record()
  const port = await recorder.listen()
  const url = (one.argv.find((arg) => arg.startsWith('http')) ?? '').replace('$PORT', port)
  const queue = new Queue('src', { root: bed.root, durability: 'none' }).host('h1')
  for await (const item of queue.scan()) {
    const trigger = one.argv.includes('-t')
    expect(await pushItem(item, url, { queue: 'trg', trigger })).toEqual({})
    item.release()
  }
  const sent = (): readonly string[] => recorder.requests.map((request) => inTheirForm(request, port))
  expect(sent()).toEqual(one.requests)

  recorder.requests.length = 0
  const forwarder = await queue.push(url, { queue: 'trg', ...(id === 'push -t' && { trigger: 'trigger-s' }) })
  await forwarder.idle()
  await forwarder.close()
  await queue.close()
  // First it asks what the receiver can do. It ignores whether something listens to the trigger.
  const [asked, ...others] = sent()
  expect(asked).toContain('"system.listMethods"')
  expect(others.filter((request) => request.includes('"enqueue"'))).toEqual(one.requests.slice(0, 1))
  expect(others).toHaveLength(one.requests.length)
})
