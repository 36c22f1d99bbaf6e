/**
 * Publishes the messages of a put and takes their answers. A request of the client would make promises, timers and errors of its own for each
 * message, which takes longer than all the rest of a small item.
 *
 *     published, each with a reply subject of its own ──> answered, or the time is over, the link is cut, the put is aborted ──> settled
 *
 * @module
 */
import type { Msg, MsgHdrs } from '@nats-io/transport-node'

import { clearTimeout, setTimeout } from '../real-timers.js'
import type { Session } from './connection.js'
import { isError } from './errors.js'

const BASE = 36
const NO_RESPONDERS = 503

/** A message on its way to a stream. */
export interface Outbound {
  readonly subject: string
  readonly body: Uint8Array
  readonly headers: MsgHdrs
}

/** The answer to a message, or why there is none. */
export type Answer = { readonly data: Uint8Array } | { readonly error: unknown }

interface Waiting {
  readonly subject: string
  readonly settle: (answer: Answer) => void
}

/** The publisher of one connection. */
export class Publisher {
  readonly #session: Session
  readonly #inbox: string
  readonly #waiting = new Map<string, Waiting>()
  #count = 0
  #hasEnded = false

  /** @param prefix - Of reply subjects. Default: that of the client. */
  constructor(session: Session, prefix: string | undefined) {
    this.#session = session
    this.#inbox = `${session.peers.transport.createInbox(prefix)}.`
    session.nc.subscribe(`${this.#inbox}*`, {
      callback: (error, message) => {
        if (error === null) this.#answered(message)
        else this.#end(error)
      },
    })
  }

  /** Whether this publisher serves a connection. */
  serves({ nc }: Session): boolean {
    return nc === this.#session.nc && !this.#hasEnded
  }

  /**
   * Publishes messages in their order and in one go.
   *
   * @param ends - End the wait with their reasons.
   * @param timeout - Ends it after so many milliseconds.
   * @returns One answer for each message, in their order. Never rejects.
   */
  async publish(
    messages: readonly Outbound[],
    ends: readonly AbortSignal[],
    timeout: number,
  ): Promise<readonly Answer[]> {
    const { nc, peers } = this.#session
    if (messages.length === 0) return []
    const answers = new Map<number, Answer>()
    const replies: string[] = []
    let timer: NodeJS.Timeout | undefined
    let endAll: (error: unknown) => void = () => undefined
    const obey = (event: Event): void => endAll((event.target as AbortSignal).reason)
    await new Promise<void>((resolve) => {
      const settle = (index: number, answer: Answer): void => {
        this.#waiting.delete(replies[index] ?? '')
        answers.set(index, answer)
        if (answers.size === messages.length) resolve()
      }
      endAll = (error) => {
        for (const index of messages.keys()) if (!answers.has(index)) settle(index, { error })
      }
      timer = setTimeout(() => endAll(new peers.transport.errors.TimeoutError()), timeout)
      for (const signal of ends) signal.addEventListener('abort', obey)
      for (const [index, { subject, body, headers }] of messages.entries()) {
        const reply = `${this.#inbox}${(this.#count++).toString(BASE)}`
        replies.push(reply)
        this.#waiting.set(reply, { subject, settle: (answer) => settle(index, answer) })
        try {
          nc.publish(subject, body, { reply, headers })
        } catch (error) {
          settle(index, { error })
        }
      }
    })
    clearTimeout(timer)
    for (const signal of ends) signal.removeEventListener('abort', obey)
    return messages.map((_, index) => answers.get(index) as Answer)
  }

  /** The server has refused something. It does not say which message. */
  refused(error: unknown): void {
    if (!isError(error) || error.name !== 'PermissionViolationError') return
    const { operation, subject } = error as Error & { operation?: string; subject?: string }
    if (operation !== 'publish') return
    for (const waiting of [...this.#waiting.values()])
      if (waiting.subject === subject) waiting.settle({ error })
  }

  #answered(message: Msg): void {
    const waiting = this.#waiting.get(message.subject)
    if (waiting === undefined) return
    const { data } = message
    if (data.length === 0 && message.headers?.code === NO_RESPONDERS)
      waiting.settle({
        error: new this.#session.peers.transport.errors.NoRespondersError(waiting.subject),
      })
    else waiting.settle({ data })
  }

  /** The server does not let the client subscribe. */
  #end(error: Error): void {
    this.#hasEnded = true
    for (const { settle } of [...this.#waiting.values()]) settle({ error })
  }
}
