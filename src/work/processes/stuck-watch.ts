/**
 * Notices that a handler in a child process has run for longer than it may, whatever it does.
 *
 * The parent measures from the message that the handler has begun. A handler that computes without a pause may have begun before its
 * child could send that message. So a child that does not answer a ping in the same time is taken for stuck, too: only a
 * handler can keep it from answering.
 *
 * @module
 */
import type { RemoteItem } from './messages.js'
import { clearInterval, performance, setInterval } from '../../real-timers.js'

const SHORTEST_TICK = 20
const LONGEST_TICK = 1000
// A busy machine keeps a child from answering, too, but not for as long.
const SHORTEST_SILENCE = 2000

/** What the watch needs to know of a child, and what it does with it. */
export interface Watched {
  /** The items whose handlers run, with the time of their beginning, the oldest first. */
  readonly oldest: () => { readonly item: RemoteItem; readonly since: number } | undefined
  readonly ping: () => void
  /** Called at most once. Without `item`, the child does not say which item it is. */
  readonly onStuck: (ms: number, item: RemoteItem | undefined) => void
}

export class StuckWatch {
  readonly #limit: number
  readonly #tick: number
  readonly #child: Watched
  readonly #timer: NodeJS.Timeout
  #lastTick = performance.now()
  #heardAt = performance.now()
  /** When the ping was sent that is not answered yet. */
  #askedAt: number | undefined

  /** @param limit - How many milliseconds a handler may run. */
  constructor(limit: number, child: Watched) {
    this.#limit = limit
    this.#tick = Math.min(Math.max(limit / 4, SHORTEST_TICK), LONGEST_TICK)
    this.#child = child
    this.#timer = setInterval(() => this.#look(), this.#tick)
    this.#timer.unref()
  }

  /** The child has sent a message. */
  heard(): void {
    this.#heardAt = performance.now()
    this.#askedAt = undefined
  }

  end(): void {
    clearInterval(this.#timer)
  }

  #look(): void {
    const now = performance.now()
    const isLate = now - this.#lastTick > 2 * this.#tick + SHORTEST_TICK
    this.#lastTick = now
    // This process itself was busy or asleep. It has to read first what the child has sent meanwhile.
    if (isLate) return
    const oldest = this.#child.oldest()
    if (oldest !== undefined && now - oldest.since > this.#limit) this.#stuck(now - oldest.since, oldest.item)
    else if (this.#askedAt !== undefined && now - this.#askedAt > Math.max(this.#limit, SHORTEST_SILENCE))
      this.#stuck(now - this.#askedAt, oldest?.item)
    else if (this.#askedAt === undefined && now - this.#heardAt > this.#limit / 2) {
      this.#askedAt = now
      this.#child.ping()
    }
  }

  #stuck(ms: number, item: RemoteItem | undefined): void {
    this.end()
    this.#child.onStuck(ms, item)
  }
}
