/**
 * The connection of a sink or a source. It is made in the background, and again for ever:
 *
 *     connecting ── connected ──> up ── the link is cut ──> reconnecting (by the client) ──> up
 *         ^   │ after 0.1 s, 0.2 s ... 2 s        │
 *         └───┘<───────────── the client has given up ───┘
 *
 * Nothing is sent while the link is down. The client would keep it and send it later, when an acknowledgement may belong to a delivery
 * that another worker has by then.
 *
 * @module
 */
import process from 'node:process'

import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream'
import type { Msg, MsgHdrs, NatsConnection, Payload } from '@nats-io/transport-node'

import { NatsError } from '../index.js'
import { clearTimeout, setTimeout } from '../real-timers.js'
import { awayError, natsError } from './errors.js'
import { type CheckedNatsOptions, type NatsWarning, connectionOptions } from './options.js'
import { type Peers, loadPeers } from './peers.js'

const FIRST_PAUSE = 100
const LONGEST_PAUSE = 2000
/** A restart of a server is no news before. */
const AWAY_MS = 2000

/** A connection that has been made, and that the client keeps up. */
export interface Session {
  readonly nc: NatsConnection
  readonly js: JetStreamClient
  readonly jsm: JetStreamManager
  readonly peers: Peers
  /** Aborted when the link is cut. Requests that are in flight then get no answer. */
  readonly down: AbortSignal
}

/** What a connection tells its owner. Neither function may throw. */
export interface ConnectionListener {
  /** The link is up: for the first time, or again. */
  readonly onUp?: (session: Session) => void
  readonly onDown?: () => void
  /** The link has been down for a while. Called once until it is up again. */
  readonly onAway?: (error: NatsError) => void
  /** The link is up again after an {@link onAway}. */
  readonly onBack?: () => void
  /** The server has refused a message or a subscription. */
  readonly onRefused?: (error: unknown) => void
}

/** A connection to one cluster. */
export class Connection {
  readonly options: CheckedNatsOptions
  readonly #listener: ConnectionListener
  readonly #closing = new AbortController()
  /** Set while the link is up. */
  #session: Session | undefined
  #down = new AbortController()
  #nc: NatsConnection | undefined
  #running: Promise<void> | undefined
  #waiters = new Set<() => void>()
  #lastError: unknown
  #isAway = false
  #awayTimer: NodeJS.Timeout | undefined
  readonly #warned = new Set<string>()

  constructor(options: CheckedNatsOptions, listener: ConnectionListener = {}) {
    this.options = options
    this.#listener = listener
  }

  /** Set while the link is up. */
  get session(): Session | undefined {
    return this.#session
  }

  /** Why the link is down, or what the server has refused last. */
  get lastError(): unknown {
    return this.#lastError
  }

  get isClosed(): boolean {
    return this.#closing.signal.aborted
  }

  /**
   * Begins to connect, and waits a moment for the first success.
   *
   * @throws `MissingPeerError`; `NatsError` if it was closed before.
   */
  async open(patience: number): Promise<void> {
    if (this.isClosed)
      throw new NatsError('The connection to the NATS server has been closed', 'other', {
        advice: 'Make another sink or source: each is opened once',
      })
    const peers = await loadPeers()
    if (this.#running === undefined) this.#expectUp()
    this.#running ??= this.#run(peers)
    await this.up(AbortSignal.timeout(patience)).catch(() => undefined)
  }

  /** @throws The error of a connection that is down. */
  demand(): Session {
    if (this.#session === undefined) throw awayError(this.#lastError)
    return this.#session
  }

  /**
   * Waits until the link is up.
   *
   * @throws The reason of the signal.
   */
  async up(signal: AbortSignal): Promise<Session> {
    for (;;) {
      signal.throwIfAborted()
      if (this.#session !== undefined) return this.#session
      if (this.isClosed) throw awayError(undefined)
      await new Promise<void>((resolve) => {
        const settle = (): void => {
          this.#waiters.delete(settle)
          signal.removeEventListener('abort', settle)
          resolve()
        }
        this.#waiters.add(settle)
        signal.addEventListener('abort', settle)
      })
    }
  }

  /**
   * Asks the server, and waits for the answer.
   *
   * @param doing - What the question is for, for the message of the error.
   * @throws `NatsError`
   */
  async request(
    subject: string,
    payload: Payload,
    { doing, ...options }: { doing: string; headers?: MsgHdrs; timeout?: number },
  ): Promise<Msg> {
    const { nc } = this.demand()
    try {
      return await nc.request(subject, payload, { timeout: this.options.timeout, ...options })
    } catch (error) {
      throw natsError(error, doing)
    }
  }

  /** Tells of a setting that cannot keep what fsq promises. */
  warn(warning: NatsWarning): void {
    const { onWarning } = this.options
    try {
      if (onWarning !== undefined) onWarning(warning)
      else if (!this.#warned.has(warning.code))
        process.emitWarning(warning.message, { type: 'FsqWarning', code: `FSQ_NATS_${warning.code}` })
    } catch (error) {
      process.emitWarning(`The option onWarning threw ${String(error)}`, { type: 'FsqWarning' })
    }
    this.#warned.add(warning.code)
  }

  async close(): Promise<void> {
    if (!this.isClosed) {
      this.#closing.abort()
      clearTimeout(this.#awayTimer)
      this.#wake()
      // Also while the link is down: the client would go on to connect.
      await this.#nc?.close()
    }
    // A first connect that hangs closes what it has made when it ends.
    if (this.#nc !== undefined) await this.#running
  }

  async #run(peers: Peers): Promise<void> {
    for (let pause = FIRST_PAUSE; !this.isClosed; pause = Math.min(2 * pause, LONGEST_PAUSE)) {
      try {
        const nc = await peers.transport.connect(connectionOptions(this.options, peers))
        pause = FIRST_PAUSE
        this.#lastError = await this.#serve(nc, peers)
      } catch (error) {
        this.#lastError = error
      }
      await this.#pause(pause)
    }
  }

  /** @returns The error with which the client has given up, if one was the cause. */
  async #serve(nc: NatsConnection, peers: Peers): Promise<unknown> {
    // The close may have come while the client connected.
    if (this.isClosed) {
      await nc.close()
      return undefined
    }
    this.#nc = nc
    const { domain, timeout } = this.options
    // A new object for each: the client changes it. Nothing is asked here, as the credentials need not allow it.
    const own = (): object => ({ timeout, checkAPI: false, ...(domain !== undefined && { domain }) })
    const parts = {
      nc,
      peers,
      js: peers.jetstream.jetstream(nc, own()),
      jsm: await peers.jetstream.jetstreamManager(nc, own()),
    }
    this.#setUp(parts)
    for await (const status of nc.status()) {
      if (status.type === 'disconnect') this.#setDown()
      else if (status.type === 'reconnect') this.#setUp(parts)
      else if (status.type === 'error') {
        this.#lastError = status.error
        this.#listener.onRefused?.(status.error)
      }
    }
    const error = await nc.closed()
    this.#nc = undefined
    this.#setDown()
    return error
  }

  #setUp(parts: Omit<Session, 'down'>): void {
    this.#down = new AbortController()
    const session = { ...parts, down: this.#down.signal }
    this.#session = session
    this.#lastError = undefined
    clearTimeout(this.#awayTimer)
    this.#wake()
    this.#listener.onUp?.(session)
    if (!this.#isAway) return
    this.#isAway = false
    this.#listener.onBack?.()
  }

  #setDown(): void {
    if (this.#session === undefined) return
    this.#session = undefined
    this.#down.abort(awayError(this.#lastError))
    this.#listener.onDown?.()
    this.#expectUp()
  }

  #expectUp(): void {
    if (this.isClosed) return
    clearTimeout(this.#awayTimer)
    this.#awayTimer = setTimeout(() => {
      this.#isAway = true
      this.#listener.onAway?.(awayError(this.#lastError))
    }, AWAY_MS)
    this.#awayTimer.unref()
  }

  #wake(): void {
    for (const wake of [...this.#waiters]) wake()
  }

  async #pause(ms: number): Promise<void> {
    const { signal } = this.#closing
    if (signal.aborted) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ms)
      signal.addEventListener('abort', () => {
        clearTimeout(timer)
        resolve()
      })
    })
  }
}
