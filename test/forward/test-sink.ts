// A target in memory that does as a test tells it.
import { EventEmitter } from 'node:events'

import type { OutgoingItem, PutOptions, PutOutcome, Sink } from '../../src/forward/sink.js'

/** An item as it has arrived. */
export interface Arrived {
  readonly id: string
  readonly args: readonly string[]
  readonly text: string
}

type Answer = (items: readonly OutgoingItem[], options: PutOptions) => unknown

/** Knows ids for ever, unless {@link forget} is called. */
export class TestSink implements Sink {
  readonly name = 'test'
  remembers = 3_600_000
  maxSize: number | undefined
  /** The items that the target has taken, each once for each id that it did not know. */
  readonly arrived: Arrived[] = []
  /** The sizes of all puts. */
  readonly puts: number[] = []
  /** Bytes of the contents in flight, at most, and puts. */
  mostBytes = 0
  mostPuts = 0
  #bytes = 0
  #flying = 0
  opened = 0
  closed = 0
  /** What becomes of the next puts. Default: all is stored. */
  readonly answers: Answer[] = []
  /** What becomes of the puts after those. */
  then: Answer = (items) => this.store(items)
  readonly #known = new Set<string>()
  readonly #events = new EventEmitter()

  /** Emits `put` when a put begins. */
  events(): EventEmitter {
    return this.#events
  }

  async open(): Promise<void> {
    this.opened++
  }

  async close(): Promise<void> {
    this.closed++
  }

  async put(items: readonly OutgoingItem[], options: PutOptions): Promise<readonly PutOutcome[]> {
    this.puts.push(items.length)
    this.#events.emit('put', items)
    const bytes = items.reduce((sum, { size }) => sum + size, 0)
    this.#bytes += bytes
    this.mostBytes = Math.max(this.mostBytes, this.#bytes)
    this.mostPuts = Math.max(this.mostPuts, ++this.#flying)
    try {
      const answer = this.answers.shift() ?? this.then
      return (await answer(items, options)) as readonly PutOutcome[]
    } finally {
      this.#bytes -= bytes
      this.#flying--
    }
  }

  async store(items: readonly OutgoingItem[]): Promise<PutOutcome[]> {
    const outcomes: PutOutcome[] = []
    for (const item of items) {
      const isKnown = this.#known.has(item.id)
      this.#known.add(item.id)
      const text = Buffer.from(await item.bytes()).toString()
      if (!isKnown) this.arrived.push({ id: item.id, args: item.args, text })
      outcomes.push({ outcome: isKnown ? 'duplicate' : 'stored' })
    }
    return outcomes
  }

  forget(): void {
    this.#known.clear()
  }
}

export const refused: Answer = (items) => items.map(() => ({ outcome: 'refused', error: new Error('no') }))
export const again: Answer = (items) => items.map(() => ({ outcome: 'again', error: new Error('later') }))
export const unsent: Answer = (items) =>
  items.map(() => ({ outcome: 'again', error: new Error('no connection'), isUnsent: true }))
/** Answers when the signal aborts. */
export const aborted: Answer = async (items, { signal }) => {
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
  return again(items, { signal })
}
export const never: Answer = async () => new Promise(() => undefined)
