/**
 * The options that a sink and a source have in common.
 *
 * @module
 */
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { inspect } from 'node:util'

import type { ConnectionOptions } from '@nats-io/transport-node'

import { SettingError } from '../index.js'
import type { Peers } from './peers.js'

/** A setting of a stream, a consumer or a bucket that cannot keep what fsq promises. */
export interface NatsWarning {
  /** Identifies the kind of the warning, for example `workqueue` or `one-replica`. */
  readonly code: string
  /** What the setting means, and what to set instead. */
  readonly message: string
}

/** How to reach the server: options of {@link natsSink} and {@link jetstreamSource}. */
export interface NatsOptions {
  /**
   * The servers of one cluster: `nats://host:4222`, or `tls://host:4222` to refuse connections without TLS. A user and a password in the
   * URL are used. Default: `NATS_URL`, with commas between several, or else `nats://127.0.0.1:4222`.
   */
  readonly servers?: string | readonly string[] | undefined
  /**
   * The path of a credentials file. It is read at each connect, so that it can be replaced while the process runs. Default: `NATS_CREDS`, or
   * else none.
   */
  readonly creds?: string | undefined
  /**
   * Options of the client, passed on as they are: TLS, tokens, authenticators, prefixes of inboxes. They replace what fsq sets, for example
   * that the client reconnects for ever.
   */
  readonly connection?: ConnectionOptions | undefined
  /** The JetStream domain of the stream, for one behind a leaf node. */
  readonly domain?: string | undefined
  /** For how many milliseconds to await each answer of the server. Default: 5000. */
  readonly timeout?: number | undefined
  /**
   * Called with each warning about the configuration, each time that a check at a connect has found it, and by a source that has had no
   * connection for two seconds (`away`), and when it has one again (`back`). Default: a warning of the process, once for each.
   */
  readonly onWarning?: ((warning: NatsWarning) => void) | undefined
}

/** The names of {@link NatsOptions}, for the checks of options. */
export const NATS_OPTIONS = ['servers', 'creds', 'connection', 'domain', 'timeout', 'onWarning'] as const

/** {@link NatsOptions}, checked. */
export interface CheckedNatsOptions {
  readonly servers: readonly string[]
  readonly creds: string | undefined
  readonly connection: ConnectionOptions
  readonly domain: string | undefined
  readonly timeout: number
  readonly onWarning: ((warning: NatsWarning) => void) | undefined
}

/**
 * Checks the options, and takes from the environment what is not given.
 *
 * @param call - The call that takes the options, for the error message.
 * @param own - The names of the options that only this call has.
 * @throws `SettingError`
 */
export function checkNatsOptions(
  call: string,
  options: NatsOptions,
  own: readonly string[],
): CheckedNatsOptions {
  checkOptions(call, options, [...own, ...NATS_OPTIONS])
  const { servers, creds, connection = {}, domain, timeout = 5000, onWarning } = options
  checkText('creds', creds)
  checkText('domain', domain)
  checkPositive('timeout', timeout)
  if (typeof connection !== 'object' || (connection as unknown) === null)
    throw new SettingError('connection', connection, "an object with the client's ConnectionOptions")
  if (onWarning !== undefined && typeof onWarning !== 'function')
    throw new SettingError('onWarning', onWarning, 'a function')
  return {
    servers: serversOf(servers, connection),
    creds: creds ?? env('NATS_CREDS'),
    connection,
    domain,
    timeout,
    onWarning,
  }
}

/**
 * Checks that options are an object, and that the call has each of them.
 *
 * @throws `SettingError`
 */
export function checkOptions(call: string, options: unknown, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null)
    throw new SettingError('options', options, `an object with options of ${call}`)
  for (const key of Object.keys(options)) {
    if (known.includes(key)) continue
    const message = `${call} has no option ${inspect(key)}. It has ${known.join(', ')}`
    throw new SettingError(key, undefined, 'an existing option', undefined, message)
  }
}

/** @throws `SettingError` */
export function checkText(option: string, value: unknown): asserts value is string | undefined {
  if (value === undefined || (typeof value === 'string' && value !== '')) return
  throw new SettingError(option, value, 'a text that is not empty')
}

/**
 * Checks the name of a stream, a consumer or a bucket. It becomes a part of subjects.
 *
 * @throws `SettingError`
 */
export function checkName(option: string, value: unknown): asserts value is string {
  if (typeof value === 'string' && /^[^\s.*>/\\]+$/.test(value)) return
  throw new SettingError(option, value, 'a name without spaces, `.`, `*`, `>` and slashes')
}

/** @throws `SettingError` */
export function checkPositive(option: string, value: unknown): asserts value is number {
  if (typeof value === 'number' && value > 0 && value <= 2 ** 31 - 1) return
  throw new SettingError(option, value, 'milliseconds, a number above 0 and below 2 ** 31')
}

/** @throws `SettingError` */
export function checkFlag(option: string, value: unknown): asserts value is boolean | undefined {
  if (value === undefined || typeof value === 'boolean') return
  throw new SettingError(option, value, 'true or false')
}

/**
 * The name of a sink or a source, which a directory of the queue can have.
 *
 * @param given - The option `name`.
 * @throws `SettingError`
 */
export function portName(given: unknown, stream: string): string {
  checkText('name', given)
  const name = given ?? `nats-${stream}`
  if (/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/.test(name)) return name
  throw new SettingError(
    'name',
    name,
    'at most 200 ASCII letters, digits, `.`, `_` and `-`, without a `.` in front',
    "Give the option 'name'",
  )
}

/** The options of the client. A connection has to come back for as long as the process runs, however the server has refused it. */
export function connectionOptions(options: CheckedNatsOptions, { transport }: Peers): ConnectionOptions {
  const { creds } = options
  return {
    name: 'fsq',
    ...withoutPasswords(options.servers),
    maxReconnectAttempts: -1,
    // Otherwise the client gives up at the second refusal, although the credentials may be repaired.
    ignoreAuthErrorAbort: true,
    reconnectTimeWait: 500,
    reconnectJitter: 500,
    // Finds a link that was cut in half a minute. The client's default takes six minutes.
    pingInterval: 10_000,
    // A stack for each request costs more than the request.
    noAsyncTraces: true,
    ...(creds !== undefined && {
      authenticator: (nonce?: string) => transport.credsAuthenticator(readFileSync(creds))(nonce),
    }),
    ...options.connection,
  }
}

function serversOf(servers: unknown, { servers: others, port }: ConnectionOptions): readonly string[] {
  if (servers === undefined) {
    if (others !== undefined) return [others].flat()
    // The client refuses both at a time.
    if (port !== undefined) return []
    return split(env('NATS_URL') ?? 'nats://127.0.0.1:4222')
  }
  const list = typeof servers === 'string' ? split(servers) : servers
  const isList = (value: unknown): value is readonly string[] =>
    Array.isArray(value) && value.length > 0 && value.every((url) => typeof url === 'string' && url !== '')
  if (!isList(list)) throw new SettingError('servers', servers, 'the URL of a server, or several')
  return list
}

function split(urls: string): readonly string[] {
  return urls.split(',').map((url) => url.trim())
}

function env(name: string): string | undefined {
  const value = process.env[name]
  return value === '' ? undefined : value
}

/** The client takes no user and no password from a URL, and no demand for TLS. */
function withoutPasswords(urls: readonly string[]): ConnectionOptions {
  if (urls.length === 0) return {}
  const found: ConnectionOptions = {}
  const servers = urls.map((text) => {
    const [scheme, rest] = text.includes('://') ? splitAt(text, '://') : ['nats', text]
    if (scheme === 'tls') found.tls = {}
    const at = rest.lastIndexOf('@')
    if (at < 0) return rest
    const [user, pass] = splitAt(rest.slice(0, at), ':')
    if (pass === '') found.token = percentDecoded(user)
    else Object.assign(found, { user: percentDecoded(user), pass: percentDecoded(pass) })
    return rest.slice(at + 1)
  })
  return { ...found, servers }
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + separator.length)]
}

/** A part of a URL. What is no percent-encoded UTF-8 stands for itself: an error would keep the sink away for ever. */
function percentDecoded(text: string): string {
  return text.replace(/(?:%[0-9A-Fa-f]{2})+/g, (coded) => {
    try {
      return decodeURIComponent(coded)
    } catch {
      return coded
    }
  })
}
