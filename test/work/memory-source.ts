// A queue in memory: what a source needs that is no queue of files.
import { setTimeout as later } from 'node:timers/promises'

import { ItemFinishedError } from '../../src/errors/classes.js'
import type { Outcome } from '../../src/item/outcome.js'
import type { Source, SourceItem, SourceScanOptions } from '../../src/work/source.js'

const LOOK_MS = 5

export class MemoryItem implements SourceItem {
  readonly enqueuedAt = new Date()
  readonly args: readonly string[] = []
  tries = 0
  due = 0
  claimed = false
  outcome: Outcome | undefined
  #controller = new AbortController()

  constructor(
    readonly source: MemorySource,
    readonly key: string,
  ) {}

  get id(): string {
    return `${this.key} ${this.tries}`
  }
  get size(): number {
    return this.key.length
  }
  get signal(): AbortSignal {
    return this.#controller.signal
  }
  text = async (): Promise<string> => this.key
  bytes = async (): Promise<Uint8Array> => new TextEncoder().encode(this.key)
  json = async <T>(): Promise<T> => JSON.parse(this.key) as T
  abort = (reason: unknown): void => this.#controller.abort(reason)
  done = async (): Promise<void> => this.#leave('done')
  fail = async (): Promise<void> => this.#leave('failed')
  release = async ({ delay = 0 } = {}): Promise<void> => this.#leave('released', delay)

  async retry({ delay = 0 } = {}): Promise<'waiting' | 'failed'> {
    const isLast = this.tries + 1 >= this.source.maxTries
    await this.#leave(isLast ? 'failed' : 'waiting', delay)
    if (!isLast) this.tries++
    return isLast ? 'failed' : 'waiting'
  }

  claim(): void {
    this.claimed = true
    this.outcome = undefined
    this.#controller = new AbortController()
    this.source.log.push(`claim ${this.id}`)
  }

  async #leave(outcome: Outcome, delay = 0): Promise<void> {
    if (!this.claimed) throw new ItemFinishedError(`${this.id} has been finished already`)
    if (outcome !== 'released' && this.source.broken !== undefined) throw this.source.broken
    Object.assign(this, { claimed: false, outcome, due: Date.now() + delay })
    this.source.log.push(`${outcome} ${this.id}`)
    if (outcome === 'done' || outcome === 'failed') this.source.items.delete(this)
  }
}

export class MemorySource implements Source<MemoryItem> {
  readonly items = new Set<MemoryItem>()
  readonly log: string[] = []
  maxTries = 3
  /** The error of each finish. */
  broken: Error | undefined
  /** The error of each scan. */
  outage: (Error & { kind?: 'down' | 'missing' | 'closed' }) | undefined

  add(...keys: string[]): void {
    for (const key of keys) this.items.add(new MemoryItem(this, key))
  }

  outageOf(): 'down' | 'missing' | 'closed' {
    return this.outage?.kind ?? 'missing'
  }

  async *scan({ signal, onIdle }: SourceScanOptions): AsyncGenerator<MemoryItem, void, undefined> {
    for (;;) {
      signal.throwIfAborted()
      if (this.outage !== undefined) throw this.outage
      const item = [...this.items].find(({ claimed, due }) => !claimed && due <= Date.now())
      if (item === undefined) {
        onIdle()
        await later(LOOK_MS, undefined, { signal })
        continue
      }
      item.claim()
      yield item
    }
  }
}
