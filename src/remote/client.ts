/**
 * Requests to a receiver, over connections that are kept. None is ever repeated here: the receiver may have done what was asked.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import http from 'node:http'
import https from 'node:https'
import { isIP } from 'node:net'
import { Readable } from 'node:stream'
import { type SecureContextOptions, connect as connectByTls, createSecureContext } from 'node:tls'
import { gunzipSync } from 'node:zlib'

import { PushError, SettingError } from '../index.js'
import { clearTimeout, setTimeout } from '../real-timers.js'
import { MOST_SOCKET_PATH } from '../socket-path.js'
import { certificateError } from './certificates.js'
import { checkKeys, checkText, number } from './options.js'
import type { RemoteOptions } from './types.js'

const MOST_ANSWER = 1024 * 1024
const CONNECTIONS = 16
const CONNECT_MS = 10_000
const ANSWER_MS = 60_000
const HTTP_PORT = 80
/** Errors of a connection that was not made. The request was not sent. */
const AWAY = [
  ...['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH', 'ENOENT', 'ETIMEDOUT'],
  ...['EHOSTDOWN', 'ENETDOWN', 'EADDRNOTAVAIL', 'EMFILE', 'EAGAIN', 'EACCES'],
]

/** What Node says of bytes that are not the beginning of an answer. */
const NO_HTTP = 'HPE_INVALID_CONSTANT'
const NO_TLS = 'wrong version number'

export const REMOTE_KEYS = ['tls', 'connections', 'connectTimeout', 'answerTimeout'] as const

export interface Request {
  readonly method: 'POST' | 'PUT'
  /** Behind the path of the URL. */
  readonly path?: string
  readonly type: string
  readonly body: Uint8Array | { readonly size: number; readonly chunks: AsyncIterable<Uint8Array> }
}

export interface Answer {
  readonly status: number
  readonly body: Buffer
}

/** One receiver, by its URL. */
export class Client {
  /** Without credentials, for messages. */
  readonly shown: string
  readonly #secure: boolean
  readonly #agent: http.Agent
  readonly #place: http.RequestOptions
  readonly #path: string
  readonly #query: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #connectMs: number
  readonly #answerMs: number
  readonly #closing = new AbortController()
  /** Whether a server of HTTP has answered. */
  #hasAnswered = false

  /**
   * @param url - `http://`, `https://` or `unix:///PATH`. It may have a user and a password.
   * @throws {@link SettingError}; `FsqError` for certificates that cannot be used.
   */
  constructor(url: string | URL, { tls = {}, connections, connectTimeout, answerTimeout }: RemoteOptions) {
    const { protocol, hostname, port, pathname, search, username, password } = parsedUrl(url)
    checkKeys('tls', tls, ['ca', 'cert', 'key'])
    const isUnix = protocol === 'unix:'
    this.#secure = protocol === 'https:'
    const given = Object.fromEntries(Object.entries(tls).filter(([, value]) => value !== undefined))
    if (Object.keys(given).length > 0) checkTls(given)
    const options = { keepAlive: true, maxSockets: number('connections', connections, CONNECTIONS, 1, 1024) }
    this.#agent = this.#secure ? new https.Agent(options) : new http.Agent(options)
    this.#connectMs = number('connectTimeout', connectTimeout, CONNECT_MS, 1, 2 ** 31 - 1)
    this.#answerMs = number('answerTimeout', answerTimeout, ANSWER_MS, 1, 2 ** 31 - 1)
    this.#place = isUnix
      ? { socketPath: Buffer.from(percentDecoded(pathname), 'latin1').toString() }
      : { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: port === '' ? undefined : Number(port), ...given }
    // Node 20 cuts a longer path off, and connects to that.
    if (Buffer.byteLength(this.#place.socketPath ?? '') > MOST_SOCKET_PATH)
      throw new SettingError(
        'url',
        withoutPassword(String(url)),
        `a path of at most the ${MOST_SOCKET_PATH} bytes of a unix socket`,
      )
    this.#query = isUnix ? '' : search
    this.#path = isUnix || pathname === '' ? '/' : pathname
    const host = isUnix ? 'localhost' : `${hostname}${port === '' ? '' : `:${port}`}`
    this.shown = isUnix ? `unix://${pathname}` : `${protocol}//${host}${pathname === '/' ? '' : pathname}`
    const credentials = `${percentDecoded(username)}:${percentDecoded(password)}`
    // In the order of the first implementation.
    this.#headers = {
      Host: host,
      'Accept-Encoding': 'gzip',
      ...(credentials !== ':' && {
        Authorization: `Basic ${Buffer.from(credentials, 'latin1').toString('base64')}`,
      }),
      'User-Agent': 'fsq',
    }
  }

  /**
   * Makes a request, once.
   *
   * @throws {@link PushError}; the reason of the signal.
   */
  async request({ method, path = '', type, body }: Request, signal?: AbortSignal): Promise<Answer> {
    const isWhole = body instanceof Uint8Array
    const size = isWhole ? body.byteLength : body.size
    const request = (this.#secure ? https : http).request({
      ...this.#place,
      agent: this.#agent,
      method,
      path: `${path === '' ? this.#path : `${this.#path.replace(/\/$/, '')}${path}`}${this.#query}`,
      headers: { ...this.#headers, 'Content-Type': type, 'Content-Length': size },
      signal,
    })
    const watch = this.#watch(request)
    try {
      const answer = await new Promise<Answer>((resolve, reject) => {
        request.on('error', reject)
        request.on('response', (response) => {
          watch.answerBegins()
          void wholeOf(response).then(resolve, reject)
        })
        if (isWhole) request.end(body)
        else send(request, body.chunks, reject)
      })
      // So do servers of TLS that speak HTTP.
      if (answer.status === 400) await this.#checkPlain(signal)
      this.#hasAnswered = true
      return answer
    } catch (error) {
      request.destroy()
      signal?.throwIfAborted()
      const known = watch.errorOf(error)
      if (known.reason !== 'other' || this.#hasAnswered) throw known
      await this.#checkPlain(signal)
      if ((error as NodeJS.ErrnoException).code !== NO_HTTP) throw known
      throw new PushError(`${this.shown}: the server there speaks no HTTP`, 'missing', { cause: error })
    } finally {
      watch.end()
    }
  }

  /** Closes the connections. */
  close(): void {
    this.#closing.abort()
    this.#agent.destroy()
  }

  /**
   * A server of TLS closes a connection without it, mostly without a word, as one does that is killed. So this asks it, until it has answered
   * once.
   *
   * @throws {@link PushError} if it is one; the reason of the signal.
   */
  async #checkPlain(signal: AbortSignal | undefined): Promise<void> {
    const { port, socketPath } = this.#place
    const host = this.#place.host ?? ''
    const signals = [this.#closing.signal, ...(signal === undefined ? [] : [signal])]
    const ending = AbortSignal.any(signals)
    if (this.#secure || this.#hasAnswered || socketPath !== undefined || ending.aborted) return
    const socket = connectByTls({
      host,
      port: Number(port ?? HTTP_PORT),
      ...(isIP(host) === 0 && { servername: host }),
      rejectUnauthorized: false,
    })
    const end = (): void => void socket.destroy()
    ending.addEventListener('abort', end)
    const timer = setTimeout(end, this.#connectMs)
    const isSecure = await new Promise<boolean>((resolve) => {
      socket.once('secureConnect', () => resolve(true))
      socket.on('error', () => undefined).once('close', () => resolve(false))
    })
    clearTimeout(timer)
    ending.removeEventListener('abort', end)
    end()
    signal?.throwIfAborted()
    if (isSecure) throw new PushError(`${this.shown}: the server there wants TLS: use https://`, 'missing')
  }

  /** Keeps the time-outs, and knows whether the connection was there. */
  #watch(request: http.ClientRequest): {
    readonly errorOf: (error: unknown) => PushError
    /** An answer is short, so all of it has to come in time. */
    readonly answerBegins: () => void
    readonly end: () => void
  } {
    let isConnected = false
    let timer: NodeJS.Timeout | undefined
    let isLate = false
    const giveUp = (): void => {
      isLate = true
      request.destroy(new Error('no answer in time'))
    }
    request.on('socket', (socket) => {
      if (!socket.connecting) {
        isConnected = true
        return
      }
      timer = setTimeout(giveUp, this.#connectMs)
      socket.once(this.#secure ? 'secureConnect' : 'connect', () => {
        isConnected = true
        clearTimeout(timer)
      })
    })
    request.setTimeout(this.#answerMs, giveUp)
    return {
      answerBegins: () => (timer = setTimeout(giveUp, this.#answerMs)),
      end: () => clearTimeout(timer),
      errorOf: (error) => {
        if (error instanceof PushError) return error
        const { code = '', message } = error as NodeJS.ErrnoException
        const said = (text: string): string => `${this.shown}: ${text}`
        const options = { cause: error }
        if (isLate)
          return isConnected
            ? new PushError(said('no answer in time'), 'timeout', options)
            : new PushError(said('no connection in time'), 'away', options)
        if (isConnected) return new PushError(said(message), 'other', options)
        if (AWAY.includes(code) || code === 'ECONNRESET') return new PushError(said(message), 'away', options)
        if (message.includes(NO_TLS))
          return new PushError(said('the server there speaks no TLS: use http://'), 'denied', options)
        return new PushError(said(message), this.#secure ? 'denied' : 'away', options)
      },
    }
  }
}

/** Sends a body as it comes. An answer before its end is an answer. */
function send(
  request: http.ClientRequest,
  chunks: AsyncIterable<Uint8Array>,
  fail: (error: unknown) => void,
): void {
  const body = Readable.from(chunks, { objectMode: false, highWaterMark: 1024 * 1024 })
  // Contents that cannot be read: half of them would be taken for all without the destruction of the request.
  body.on('error', (error) => {
    fail(error)
    request.destroy()
  })
  request.on('close', () => body.destroy())
  body.pipe(request)
}

async function wholeOf(response: http.IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length
    if (size > MOST_ANSWER) throw new PushError('The answer is longer than a receiver sends', 'other')
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks)
  const isPacked = response.headers['content-encoding'] === 'gzip'
  return {
    status: response.statusCode ?? 0,
    body: isPacked ? gunzipSync(body, { maxOutputLength: MOST_ANSWER }) : body,
  }
}

function parsedUrl(url: unknown): URL {
  const parsed = url instanceof URL ? url : urlOf(url)
  const isKnown = parsed !== undefined && ['http:', 'https:', 'unix:'].includes(parsed.protocol)
  const isWhole = parsed?.protocol === 'unix:' ? parsed.pathname.startsWith('/') : parsed?.hostname !== ''
  if (parsed !== undefined && isKnown && isWhole) return parsed
  checkText('url', url)
  throw new SettingError('url', withoutPassword(url), 'http://HOST:PORT, https://HOST:PORT or unix:///PATH')
}

/** Each connection would fail otherwise, with an error that does not name the certificates. @throws `FsqError` */
function checkTls(given: SecureContextOptions): void {
  try {
    createSecureContext(given)
  } catch (error) {
    throw certificateError(error)
  }
}

function urlOf(text: unknown): URL | undefined {
  try {
    return new URL(String(text))
  } catch {
    return undefined
  }
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/.*@/s, '//')
}

/** The bytes of a part of a URL as latin-1. As in the first implementation, a `%` without two digits stands for itself. */
function percentDecoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_all, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 16)),
  )
}
