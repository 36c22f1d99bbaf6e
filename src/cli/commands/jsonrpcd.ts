/**
 * `fsq jsonrpcd`: takes the items that other machines push.
 *
 * @module
 */
import fs from 'node:fs'
import type { RequestListener, Server } from 'node:http'
import type { ListenOptions } from 'node:net'
import process from 'node:process'

import { FsqError } from '../../errors/classes.js'
import { codeOf } from '../../errors/errno.js'
import { Queue } from '../../queue.js'
import type { SettingOverrides } from '../../settings.js'
import { explain } from '../advice.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { FAILURE, SUCCESS } from '../command.js'
import { listen } from '../listen.js'
import { say, speakAs } from '../output.js'
import { ageOption } from '../select.js'

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
const SECRET_MODE = 0o600
const CHECK_MS = 5000
const HANDSHAKE_MS = 10_000
const HIGHEST_PORT = 65_535
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/
const UNIX = /^unix:(?:\/\/)?(\/.+)$/

export const options: OptionTable = {
  workers: { short: 'w', value: 'a number' },
  verbose: { short: 'v' },
  credentials: { value: 'a file' },
  'add-user': { value: 'the name of a user' },
  'tls-cert': { value: 'a file' },
  'tls-key': { value: 'a file' },
  'tls-ca': { value: 'a file' },
  'allow-all': {},
  keep: { value: 'an age, as 7d' },
  'max-body': { value: 'a number of MiB' },
  'max-connections': { value: 'a number' },
}

export const help = `Usage: fsq jsonrpcd [option ...] host port [queue ...]
       fsq jsonrpcd [option ...] unix:///path [queue ...]

Takes the items that fsq push brings, each once, and answers when an item
survives a power cut. Fills only the queues named; default: all below the root.
Runs until SIGTERM, and gives up what is still coming ten seconds later.

      --credentials=FILE  who may push. Without it, host is a loopback address
      --add-user=NAME     adds a user to that file; the password is read from
                          standard input. Does not listen
      --tls-cert=FILE, --tls-key=FILE   listen by TLS
      --tls-ca=FILE       refuse senders without a certificate of this authority
      --allow-all         listen on any address without credentials
      --keep=AGE          how long items that came are known again (7d)
      --max-body=MIB      the most that a request of JSON may have (64)
      --max-connections=N further ones are closed (1024)
  -w, --workers=N         accepted; one process serves all connections
  -v, --verbose           a line for each failed request
  -h, --help              this help

Example:
  fsq jsonrpcd --credentials=/etc/fsq.users --tls-cert=c.pem --tls-key=k.pem \\
    0.0.0.0 8181 orders
Exit codes: 0 success, 100 bad usage, 111 an error.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  if (given.has('add-user')) return addUser(given)
  const { place, shown, isLocal, queues } = placeOf(given)
  // Those of the first implementation share a socket. The number is checked, as scripts give it.
  given.number('workers', 1)
  const keep = ageOption(given, 'keep')
  const body = given.number('max-body', 1, 256)
  const connections = given.number('max-connections', 1)
  const credentials = given.text('credentials')
  const tls = tlsOf(given)
  const isGuarded = credentials !== undefined || tls?.ca !== undefined
  if (!isLocal && !isGuarded && !given.has('allow-all'))
    throw new UsageError(
      'without --credentials or --tls-ca, it listens only on a loopback address or a unix socket; --allow-all lets everyone push',
    )
  const { receiver } = await import('../../remote.js')
  const handler = receiver({
    ...settings,
    queues: queues.length === 0 ? 'all' : queues,
    credentials,
    keep,
    limits: { ...(body !== undefined && { body: body * 1024 * 1024 }), connections },
    onError: (message) => given.has('verbose') && say(message),
  })
  const server = await makeServer(handler, tls)
  handler.protect(server)
  const stop = new Promise<void>((resolve) => {
    for (const signal of SIGNALS) process.once(signal, () => resolve())
  })
  try {
    await listen(server, place)
  } catch (error) {
    const reason = error instanceof FsqError ? error.message : (codeOf(error) ?? String(error))
    say(`cannot listen on ${shown}: ${reason}`)
    await handler.close()
    return FAILURE
  }
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : undefined
  const failed = new Promise<never>((_, reject) => server.once('error', reject))
  speakAs('')
  say(`starting fsq server on: ${port === undefined ? shown : `${place.host ?? ''}:${port}`}`)
  speakAs('jsonrpcd')
  await noteMissing(queues, settings)
  await Promise.race([stop, failed])
  const closed = new Promise<void>((resolve) => server.close(() => resolve()))
  server.closeIdleConnections()
  await handler.close()
  // What is left has no request in it.
  server.closeAllConnections()
  await closed
  return SUCCESS
}

/** A queue may be installed later, or its name may be wrong. */
async function noteMissing(names: readonly string[], settings: SettingOverrides): Promise<void> {
  for (const name of names) {
    await using queue = new Queue(name, settings)
    await queue.isEmpty().catch((error: unknown) => say(explain(error)))
  }
}

interface Listening {
  readonly place: Pick<ListenOptions, 'host' | 'port' | 'path'>
  /** For messages. */
  readonly shown: string
  readonly isLocal: boolean
  readonly queues: readonly string[]
}

function placeOf({ operands }: Arguments): Listening {
  const [host = '', ...rest] = operands
  const path = UNIX.exec(host)?.[1]
  if (path !== undefined) return { place: { path }, shown: host, isLocal: true, queues: rest }
  const [text, ...queues] = rest
  if (host === '' || text === undefined) throw new UsageError('host and port are missing')
  const port = /^\d{1,5}$/.test(text) ? Number(text) : Number.NaN
  if (!(port <= HIGHEST_PORT))
    throw new UsageError(`the port is '${text}', expected a number up to ${HIGHEST_PORT}`)
  return { place: { host, port }, shown: `${host}:${port}`, isLocal: LOOPBACK.test(host), queues }
}

interface Tls {
  readonly cert: Buffer
  readonly key: Buffer
  readonly ca: Buffer | undefined
}

function tlsOf(given: Arguments): Tls | undefined {
  const [cert, key, ca] = ['tls-cert', 'tls-key', 'tls-ca'].map((option) => given.text(option))
  if (cert === undefined && key === undefined && ca === undefined) return undefined
  if (cert === undefined || key === undefined)
    throw new UsageError('--tls-cert and --tls-key go together, and --tls-ca needs both')
  return {
    cert: fs.readFileSync(cert),
    key: fs.readFileSync(key),
    ca: ca === undefined ? undefined : fs.readFileSync(ca),
  }
}

async function makeServer(handler: RequestListener, tls: Tls | undefined): Promise<Server> {
  // Slow headers are looked for this often.
  const options = { connectionsCheckingInterval: CHECK_MS }
  if (tls === undefined) return (await import('node:http')).createServer(options, handler)
  const { createServer } = await import('node:https')
  const isAsked = tls.ca !== undefined
  const asked = { requestCert: isAsked, rejectUnauthorized: isAsked }
  try {
    return createServer({ ...options, ...tls, ...asked, handshakeTimeout: HANDSHAKE_MS }, handler)
  } catch (error) {
    const { certificateError } = await import('../../remote/certificates.js')
    throw certificateError(error)
  }
}

async function addUser(given: Arguments): Promise<number> {
  const file = given.text('credentials')
  if (file === undefined) throw new UsageError('--add-user needs --credentials=FILE')
  const user = given.text('add-user') ?? ''
  const password = fs.readFileSync(process.stdin.fd, 'utf8').replace(/\r?\n$/, '')
  if (password === '') throw new FsqError('The password on standard input is empty')
  const { credentialLine } = await import('../../remote.js')
  const line = await credentialLine(user, password)
  replaceLine(file, `${user}:`, line)
  return SUCCESS
}

/** Replaces the line that begins so, or adds it. A file that exists keeps its owner and mode, and a link to it stays a link. */
function replaceLine(file: string, beginning: string, line: string): void {
  const known = fs.statSync(file, { throwIfNoEntry: false })
  const target = known === undefined ? file : fs.realpathSync(file)
  const others = known === undefined ? [] : fs.readFileSync(target, 'utf8').split('\n')
  const lines = [...others.filter((one) => one !== '' && !one.startsWith(beginning)), line]
  const hidden = `${target}.${process.pid}.new`
  const fd = fs.openSync(hidden, 'wx', SECRET_MODE)
  try {
    if (known !== undefined) {
      const made = fs.fstatSync(fd)
      if (made.uid !== known.uid || made.gid !== known.gid) fs.fchownSync(fd, known.uid, known.gid)
      fs.fchmodSync(fd, known.mode & 0o7777)
    }
    fs.writeFileSync(fd, `${lines.join('\n')}\n`, { flush: true })
    fs.renameSync(hidden, target)
  } catch (error) {
    fs.rmSync(hidden, { force: true })
    throw error
  } finally {
    fs.closeSync(fd)
  }
}
