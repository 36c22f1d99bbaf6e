/**
 * The receiver: answers the requests by which other machines push items, over HTTP or HTTPS.
 *
 *     POST /, POST /RPC2        JSON-RPC, of the first implementation and of this package
 *     PUT /QUEUE/NAME           contents of any kind and size, as a stream
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { on } from 'node:events'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { inspect } from 'node:util'

import { OtherSize, type Report, SettingError, type SettingOverrides } from '../index.js'
import { clearTimeout, performance, setTimeout } from '../real-timers.js'
import { BodyBudget, type BodyShare } from './budget.js'
import { Credentials } from './credentials.js'
import { Fault, briefly, faultOf, serverFault } from './faults.js'
import { checkKeys, checkText, number } from './options.js'
import { answerTo, failure, isRefusal, success } from './rpc.js'
import { Targets } from './targets.js'

const PATHS = ['/', '/RPC2']
/** What a request to a proxy has before the path. A proxy may pass it on. */
const ORIGIN = /^https?:\/\/[^/?#]*/i
const TYPE = 'application/json-rpc'
const KEEP_MS = 7 * 24 * 3600 * 1000
const MIB = 1024 * 1024
/** The most that a timer has. */
const LONGEST_MS = 2 ** 31 - 1
const CLOSING = 'The receiver is closing'
/** The fewest bytes of a body that may come within its time. */
const SLOWEST_BYTES = 4096
/** How many chunks of a stream, of up to 64 KiB, are read ahead of the disk. */
const AHEAD = 8
/** How long a sender that writes on has to read its answer. */
const LINGER_MS = 1000

/** Limits of a receiver. */
export interface ReceiverLimits {
  /** The most bytes of a request of JSON. Default: 67,108,864, 64 MiB. */
  readonly body?: number | undefined
  /** The most bytes of all requests of JSON in memory together; others wait. Not below `body`. Default: 67,108,864, 64 MiB. */
  readonly memory?: number | undefined
  /** The most bytes of contents that come as a stream. Default: no limit but that of the disk. */
  readonly contents?: number | undefined
  /** The most requests in one batch. Default: 1000. */
  readonly batch?: number | undefined
  /** The most connections at once; further ones are closed. Default: 1024. */
  readonly connections?: number | undefined
  /** Milliseconds within which the headers of a request have to come. Default: 10,000. */
  readonly headersTime?: number | undefined
  /** Milliseconds within which at least 4,096 bytes of a body have to come, or its end; and within which an answer has to be read. Default: 30,000. */
  readonly bodyTime?: number | undefined
  /** Milliseconds that `close()` gives to bodies that are still coming. Default: 10,000. */
  readonly closeTime?: number | undefined
}

/** Options of {@link receiver}. */
export interface PushReceiverOptions extends SettingOverrides {
  /** The names of the queues that may be filled, or `'all'` queues below the root. */
  readonly queues: readonly string[] | 'all'
  /**
   * Who may push: the path of a file, with a line for each user, as {@link credentialLine} makes them. Read once. Default: everyone who reaches
   * the server.
   */
  readonly credentials?: string | undefined
  /**
   * Milliseconds for which an item that has come is known again, however often it is pushed. Choose more than the longest time for which a
   * sender may be away. Default: 604,800,000, seven days.
   */
  readonly keep?: number | undefined
  readonly limits?: ReceiverLimits | undefined
  /**
   * Called when a request has failed because of the queue, with a text for a log that has neither paths nor contents. Default: a warning of the
   * process.
   */
  readonly onError?: ((message: string) => void) | undefined
}

const LIMITS = ['body', 'memory', 'contents', 'batch', 'connections', 'headersTime', 'bodyTime', 'closeTime']

interface CheckedLimits {
  readonly body: number
  readonly memory: number
  readonly contents: number
  readonly batch: number
  readonly connections: number
  readonly headersTime: number
  readonly bodyTime: number
  readonly closeTime: number
}

type Listener = (request: IncomingMessage, response: ServerResponse) => void

/** A handler of requests, made by {@link receiver}. */
export interface PushReceiver {
  (request: IncomingMessage, response: ServerResponse): void
  /**
   * Sets the limits of connections and of time at the server, which no handler can keep by itself. A server looks for late headers every 30
   * seconds: its option `connectionsCheckingInterval` changes that.
   */
  protect(server: Server): void
  /**
   * Answers nothing more, and resolves when the requests in flight are answered and all queues are closed. A request whose body has not come
   * within `limits.closeTime` is given up, and the rest of a batch is answered with errors.
   */
  close(): Promise<void>
}

/**
 * Takes the items that other machines push, by `fsq push`, `push()`, or the command of the first implementation. An answer means that the item
 * is in the queue and survives a power cut. An item that comes again within the time `keep` is known, and is not added again.
 *
 * The handler is for a server of `node:http` or `node:https`. Without `credentials` and without client certificates, let the server listen on
 * a loopback address or on a unix socket only.
 *
 * @throws `SettingError`; `QueueNameError`; `FsqError` or a file system error for the file of credentials.
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { receiver } from 'fsq/remote'
 *
 * const handler = receiver({ queues: ['orders'], root: '/var/fsq' })
 * const server = createServer(handler)
 * handler.protect(server)
 * server.listen(8181, '127.0.0.1')
 * ```
 */
export function receiver(options: PushReceiverOptions): PushReceiver {
  const handler = new RequestHandler(options)
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    void handler.handle(request, response)
  }
  return Object.assign(listener, {
    protect: (server: Server) => handler.protect(server, listener),
    close: async () => handler.close(),
  })
}

class RequestHandler {
  readonly #targets: Targets
  readonly #credentials: Credentials | undefined
  readonly #limits: CheckedLimits
  readonly #memory: BodyBudget
  readonly #keep: number
  readonly #onError: (message: string) => void
  readonly #running = new Set<Promise<void>>()
  /** Each gives up a body that is still coming. */
  readonly #coming = new Set<(status: number, text: string) => void>()
  /** Their senders wait until they are asked for the body (`Expect: 100-continue`). */
  readonly #asking = new WeakSet<IncomingMessage>()
  #isClosing = false

  constructor(options: PushReceiverOptions) {
    if (typeof options !== 'object' || (options as unknown) === null)
      throw new SettingError('receiver', options, 'an object of options')
    const { queues, credentials, keep, limits = {}, onError, ...settings } = options
    if (queues !== 'all' && !(Array.isArray(queues) && queues.every((name) => typeof name === 'string')))
      throw new SettingError('queues', queues, "an array of names, or 'all'")
    this.#keep = number('keep', keep, KEEP_MS, 1000)
    this.#limits = checkedLimits(limits)
    if (credentials !== undefined) checkText('credentials', credentials)
    if (onError !== undefined && typeof onError !== 'function')
      throw new SettingError('onError', onError, 'a function')
    this.#memory = new BodyBudget(this.#limits.memory)
    this.#onError = onError ?? warn
    this.#credentials =
      credentials === undefined ? undefined : new Credentials(readFileSync(credentials, 'utf8'))
    this.#targets = new Targets({
      queues,
      settings,
      keep: this.#keep,
      onReport: ({ type }: Report) => this.#onError(`a report of a queue: ${type}`),
    })
  }

  protect(server: Server, listener: Listener): void {
    const { connections, headersTime } = this.#limits
    server.maxConnections = connections
    server.headersTimeout = headersTime
    // That of the whole request, which may have many gigabytes. The handler watches that it goes on.
    server.requestTimeout = 0
    // A sender that ends its side behind its request reads its answer. This option of node:http has no type.
    Object.assign(server, { httpAllowHalfOpen: true })
    // Node asks for the body of each request, also of one that is refused. A program that handles other requests itself keeps that.
    server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      const isOurs = server.listenerCount('request') === 1 && server.listeners('request')[0] === listener
      if (isOurs) this.#asking.add(request)
      else response.writeContinue()
      server.emit('request', request, response)
    })
  }

  async close(): Promise<void> {
    this.#isClosing = true
    const timer = setTimeout(() => {
      this.#targets.refuse()
      for (const giveUp of this.#coming) giveUp(503, CLOSING)
    }, this.#limits.closeTime)
    while (this.#running.size > 0) await Promise.all(this.#running)
    clearTimeout(timer)
    await this.#targets.close()
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const running = this.#answer(request, response).catch((error: unknown) => {
      const hasBroken = request.destroyed && !request.complete
      if (!hasBroken) this.#note(error)
      // The contents are not at fault, as the error says that follows.
      else if (response.headersSent)
        this.#onError(`a body was given up with the status ${response.statusCode}`)
      else this.#onError('a sender broke off before the end of its request')
      response.destroy()
    })
    this.#running.add(running)
    await running
    this.#running.delete(running)
    if (response.writableFinished || response.destroyed) return
    const timer = setTimeout(() => response.destroy(), this.#limits.bodyTime).unref()
    response.once('close', () => clearTimeout(timer))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#isClosing) return refuse(request, response, 503, CLOSING)
    if (request.method !== 'POST' && request.method !== 'PUT')
      return refuse(request, response, 501, `Unsupported method ('${request.method ?? ''}')`)
    // A query is for a proxy before this receiver: a sender sends that of its URL with each request.
    const [place = ''] = (request.url ?? '').replace(ORIGIN, '').split('?', 1)
    const target = targetOf(place)
    const isKnown = request.method === 'POST' ? PATHS.includes(place) : target !== undefined
    if (this.#credentials !== undefined && !(await this.#credentials.admits(request.headers.authorization))) {
      response.setHeader('WWW-Authenticate', 'Basic realm="fsq"')
      return refuse(request, response, 401, 'Unauthorized')
    }
    if (!isKnown) return refuse(request, response, 404, 'No such page')
    const size = Number(request.headers['content-length'] ?? Number.NaN)
    if (!Number.isSafeInteger(size)) return refuse(request, response, 411, 'Length required')
    const isStream = request.method === 'PUT' && target !== undefined
    if (size > (isStream ? this.#limits.contents : this.#limits.body))
      return refuse(request, response, 413, `${size} bytes are too many`)
    // As by a parser of bodies before this handler.
    if (request.readableDidRead || request.readableEncoding !== null)
      return refuse(request, response, 500, 'The body was read before it came here')
    if (isStream) await this.#put(request, response, target, size)
    else await this.#call(request, response, size)
  }

  async #call(request: IncomingMessage, response: ServerResponse, size: number): Promise<void> {
    const share = this.#memory.begin(size)
    let text: string
    try {
      const body = await this.#whole(request, response, size, share)
      text = await answerTo(body, {
        targets: this.#targets,
        about: { put: true, keep: this.#keep },
        batch: this.#limits.batch,
        onError: (error) => this.#note(error),
      })
    } finally {
      share.end()
    }
    send(request, response, 200, text)
  }

  async #put(
    request: IncomingMessage,
    response: ServerResponse,
    { queue, name }: PutTarget,
    size: number,
  ): Promise<void> {
    const chunks = this.#body(request, response, readAhead(request))
    try {
      await this.#targets.take(queue, name, { size, chunks })
    } catch (error) {
      if (request.destroyed && !request.complete) throw error
      this.#note(error)
      const fault = faultOf(error)
      send(request, response, isRefusal(fault.code, fault.message) ? 422 : 500, failure(fault, null))
      return
    }
    send(request, response, 200, success(name.toString(), null))
  }

  async #whole(
    request: IncomingMessage,
    response: ServerResponse,
    size: number,
    share: BodyShare,
  ): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    // After an error, the sender still gets its answer.
    const coming = request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>
    for await (const chunk of this.#body(request, response, coming)) {
      await share.grow(chunk.byteLength)
      chunks.push(chunk)
    }
    const body = Buffer.concat(chunks)
    if (body.length !== size) throw serverFault('the request was cut short')
    return body
  }

  /** The body, unless it comes too slowly. */
  async *#body(
    request: IncomingMessage,
    response: ServerResponse,
    chunks: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array, void, undefined> {
    const giveUp = (status: number, text: string): void => {
      if (response.headersSent) return
      writeLast(response, status, 'text/plain', text)
      const end = (): void => void request.destroy(new Error(text))
      const timer = setTimeout(end, LINGER_MS)
      request.once('close', () => clearTimeout(timer))
      response.end(end)
    }
    if (this.#asking.delete(request)) response.writeContinue()
    let left = SLOWEST_BYTES
    let time = this.#limits.bodyTime
    let begun = performance.now()
    const arm = (): NodeJS.Timeout => setTimeout(() => giveUp(408, 'The body came too slowly'), time)
    let timer = arm()
    this.#coming.add(giveUp)
    try {
      for await (const chunk of chunks) {
        clearTimeout(timer)
        time -= performance.now() - begun
        left -= chunk.byteLength
        if (left <= 0) {
          left = SLOWEST_BYTES
          time = this.#limits.bodyTime
        }
        yield chunk
        begun = performance.now()
        timer = arm()
      }
    } finally {
      this.#coming.delete(giveUp)
      clearTimeout(timer)
    }
  }

  /** Tells of errors that are not the sender's. */
  #note(error: unknown): void {
    if (error instanceof Fault || error instanceof OtherSize) return
    const { code, message } = faultOf(error)
    if (!isRefusal(code, message)) this.#onError(`a request failed: ${briefly(error)}`)
  }
}

/** The chunks of a stream. Some are read while the disk is busy. An end before the last one leaves the request alone, so that it can be answered. */
async function* readAhead(request: IncomingMessage): AsyncGenerator<Uint8Array, void, undefined> {
  // It would never say so again.
  if (request.destroyed) throw new Error('The connection is closed')
  const events = on(request, 'data', { close: ['end'], highWaterMark: AHEAD, lowWaterMark: 1 })
  // A handler before this one may have paused it.
  request.resume()
  for await (const [chunk] of events as AsyncIterable<[Uint8Array]>) yield chunk
}

interface PutTarget {
  readonly queue: string
  /** Byte for byte. */
  readonly name: Buffer
}

/** The queue and the name in the path of a PUT, each percent-encoded; `undefined`: it has none. */
function targetOf(place: string): PutTarget | undefined {
  const [, queue = '', name = ''] = /^(?:\/RPC2)?\/([^/?#]+)\/([^/?#]+)$/.exec(place) ?? []
  if (name === '') return undefined
  try {
    return { queue: decodeURIComponent(queue), name: percentDecoded(name) }
  } catch {
    return undefined
  }
}

function percentDecoded(text: string): Buffer {
  return Buffer.from(
    text.replace(/%([0-9A-Fa-f]{2})/g, (_all, digits: string) =>
      String.fromCharCode(Number.parseInt(digits, 16)),
    ),
    'latin1',
  )
}

/** Answers a request whose body is not read. */
function refuse(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
  writeLast(response, status, 'text/plain', text)
  linger(request, response)
}

function send(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
  if (request.complete) {
    response.writeHead(status, { 'Content-Type': TYPE, 'Content-Length': Buffer.byteLength(text) })
    response.end(text)
    return
  }
  // What has not been read would be taken for the next request.
  writeLast(response, status, TYPE, text)
  linger(request, response)
}

/** Writes the answer to the last request of a connection, which its end closes. */
function writeLast(response: ServerResponse, status: number, type: string, text: string): void {
  const length = Buffer.byteLength(text)
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': length, Connection: 'close' })
  response.write(text)
}

/** Ends an answer a moment later if its sender writes on: a close of the connection would take the answer away from it. */
function linger(request: IncomingMessage, response: ServerResponse): void {
  const end = (): void => void response.end()
  const timer = setTimeout(end, LINGER_MS)
  request.once('close', () => {
    clearTimeout(timer)
    end()
  })
  request.resume()
}

function checkedLimits(limits: ReceiverLimits): CheckedLimits {
  checkKeys('limits', limits, LIMITS)
  const body = number('limits.body', limits.body, 64 * MIB, 1, 256 * MIB)
  return {
    body,
    memory: number('limits.memory', limits.memory, Math.max(64 * MIB, body), body),
    contents: number('limits.contents', limits.contents, 2 ** 53 - 1, 0),
    batch: number('limits.batch', limits.batch, 1000, 1),
    connections: number('limits.connections', limits.connections, 1024, 1),
    headersTime: number('limits.headersTime', limits.headersTime, 10_000, 1, LONGEST_MS),
    bodyTime: number('limits.bodyTime', limits.bodyTime, 30_000, 1, LONGEST_MS),
    closeTime: number('limits.closeTime', limits.closeTime, 10_000, 0, LONGEST_MS),
  }
}

function warn(message: string): void {
  process.emitWarning(`A receiver of pushed items: ${inspect(message)}`, {
    type: 'FsqWarning',
    code: 'FSQ_RECEIVER',
  })
}
