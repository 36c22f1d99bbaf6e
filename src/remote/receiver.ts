/**
 * The receiver: answers the requests by which other machines push items, over HTTP or HTTPS.
 *
 *     POST /, POST /RPC2        JSON-RPC, of the first implementation and of this package
 *     PUT /QUEUE/NAME           contents of any kind and size, as a stream
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { readFileSync } from 'node:fs'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { inspect } from 'node:util'

import { OtherSize, type Report, SettingError, type SettingOverrides } from '../index.js'
import { clearTimeout, setTimeout } from '../real-timers.js'
import { Budget } from './budget.js'
import { Credentials } from './credentials.js'
import { Code, Fault, briefly, faultOf, serverFault } from './faults.js'
import { checkKeys, number } from './options.js'
import { answerTo, failure, isRefusal, success } from './rpc.js'
import { Targets } from './targets.js'

const PATHS = ['/', '/RPC2']
const TYPE = 'application/json-rpc'
const KEEP_MS = 7 * 24 * 3600 * 1000
const MIB = 1024 * 1024
/** The fewest bytes of a body that may come within its time. */
const SLOWEST_BYTES = 4096

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
  /** Milliseconds within which at least 4,096 bytes of a body have to come, or its end. Default: 30,000. */
  readonly bodyTime?: number | undefined
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

const LIMITS = ['body', 'memory', 'contents', 'batch', 'connections', 'headersTime', 'bodyTime']

interface CheckedLimits {
  readonly body: number
  readonly memory: number
  readonly contents: number
  readonly batch: number
  readonly connections: number
  readonly headersTime: number
  readonly bodyTime: number
}

/** A handler of requests, made by {@link receiver}. */
export interface PushReceiver {
  (request: IncomingMessage, response: ServerResponse): void
  /** Sets the limits of connections and of time at the server, which no handler can keep by itself. */
  protect(server: Server): void
  /** Answers nothing more, and resolves when the requests in flight are answered and all queues are closed. */
  close(): Promise<void>
}

/**
 * Takes the items that other machines push, by `fsq push`, `push()`, or the command of the first implementation. An answer means that the item
 * is in the queue and survives a power cut. An item that comes again within the time `keep` is known, and is not added again.
 *
 * The handler is for a server of `node:http` or `node:https`. Without `credentials` and without client certificates, let the server listen on
 * a loopback address or on a unix socket only.
 *
 * @throws `SettingError`; `FsqError` or a file system error for the file of credentials.
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
  return Object.assign(
    (request: IncomingMessage, response: ServerResponse): void => {
      void handler.handle(request, response)
    },
    { protect: (server: Server) => handler.protect(server), close: async () => handler.close() },
  )
}

class RequestHandler {
  readonly #targets: Targets
  readonly #credentials: Credentials | undefined
  readonly #limits: CheckedLimits
  readonly #memory: Budget
  readonly #keep: number
  readonly #onError: (message: string) => void
  readonly #running = new Set<Promise<void>>()
  #isClosing = false

  constructor(options: PushReceiverOptions) {
    if (typeof options !== 'object' || (options as unknown) === null)
      throw new SettingError('receiver', options, 'an object of options')
    const { queues, credentials, keep, limits = {}, onError, ...settings } = options
    if (queues !== 'all' && !(Array.isArray(queues) && queues.every((name) => typeof name === 'string')))
      throw new SettingError('queues', queues, "an array of names, or 'all'")
    this.#keep = number('keep', keep, KEEP_MS, 1000)
    this.#limits = checkedLimits(limits)
    this.#memory = new Budget(this.#limits.memory)
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

  protect(server: Server): void {
    const { connections, headersTime } = this.#limits
    server.maxConnections = connections
    server.headersTimeout = headersTime
    // That of the whole request, which may have many gigabytes. The handler watches that it goes on.
    server.requestTimeout = 0
  }

  async close(): Promise<void> {
    this.#isClosing = true
    while (this.#running.size > 0) await Promise.all(this.#running)
    await this.#targets.close()
  }

  async handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const running = this.#answer(request, response).catch((error: unknown) => {
      // The connection has broken, or was too slow.
      this.#note(error)
      response.destroy()
    })
    this.#running.add(running)
    await running
    this.#running.delete(running)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    if (this.#isClosing) return refuse(request, response, 503, 'The receiver is closing')
    if (request.method !== 'POST' && request.method !== 'PUT')
      return refuse(request, response, 501, `Unsupported method ('${request.method ?? ''}')`)
    const target = targetOf(request.url ?? '')
    const isKnown = request.method === 'POST' ? PATHS.includes(request.url ?? '') : target !== undefined
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
    if (isStream) await this.#put(request, response, target, size)
    else await this.#call(request, response, size)
  }

  async #call(request: IncomingMessage, response: ServerResponse, size: number): Promise<void> {
    await this.#memory.take(size)
    let text: string
    try {
      const body = await this.#whole(request, size)
      text = await answerTo(body, {
        targets: this.#targets,
        about: { put: true, keep: this.#keep },
        batch: this.#limits.batch,
        onError: (error) => this.#note(error),
      })
    } finally {
      this.#memory.giveBack(size)
    }
    send(response, 200, text)
  }

  async #put(
    request: IncomingMessage,
    response: ServerResponse,
    { queue, name }: PutTarget,
    size: number,
  ): Promise<void> {
    const chunks = this.#body(request)
    try {
      await this.#targets.take(queue, name, { size, chunks })
    } catch (error) {
      if (request.destroyed && !request.complete) throw error
      this.#note(error)
      const fault = faultOf(error)
      // What has not been read would be taken for the next request.
      if (!request.complete) response.setHeader('Connection', 'close')
      send(response, fault.code === Code.server ? 500 : 422, failure(fault, null))
      request.resume()
      return
    }
    send(response, 200, success(name.toString(), null))
  }

  async #whole(request: IncomingMessage, size: number): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    for await (const chunk of this.#body(request)) chunks.push(chunk)
    const body = Buffer.concat(chunks)
    if (body.length !== size) throw serverFault('the request was cut short')
    return body
  }

  /** The body, unless it comes too slowly. */
  async *#body(request: IncomingMessage): AsyncGenerator<Uint8Array, void, undefined> {
    let left = SLOWEST_BYTES
    const arm = (): NodeJS.Timeout =>
      setTimeout(() => request.destroy(new Error('The body came too slowly')), this.#limits.bodyTime)
    let timer = arm()
    try {
      for await (const chunk of request as AsyncIterable<Uint8Array>) {
        left -= chunk.byteLength
        if (left <= 0) {
          clearTimeout(timer)
          left = SLOWEST_BYTES
          yield chunk
          timer = arm()
        } else yield chunk
      }
    } finally {
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

interface PutTarget {
  readonly queue: string
  /** Byte for byte. */
  readonly name: Buffer
}

/** The queue and the name in the path of a PUT, each percent-encoded; `undefined`: it has none. */
function targetOf(url: string): PutTarget | undefined {
  const [, queue = '', name = ''] = /^(?:\/RPC2)?\/([^/?#]+)\/([^/?#]+)$/.exec(url) ?? []
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
  response.setHeader('Connection', 'close')
  response.setHeader('Content-Type', 'text/plain')
  response.writeHead(status, { 'Content-Length': Buffer.byteLength(text) })
  response.end(text)
  // A sender that writes on gets the answer all the same; the server closes the connection after it.
  request.resume()
}

function send(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'Content-Type': TYPE, 'Content-Length': Buffer.byteLength(text) })
  response.end(text)
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
    headersTime: number('limits.headersTime', limits.headersTime, 10_000, 1),
    bodyTime: number('limits.bodyTime', limits.bodyTime, 30_000, 1),
  }
}

function warn(message: string): void {
  process.emitWarning(`A receiver of pushed items: ${inspect(message)}`, {
    type: 'FsqWarning',
    code: 'FSQ_RECEIVER',
  })
}
