// A queue in memory: what a source needs that is no queue of files.
import { setTimeout as later } from 'node:timers/promises'

import { ItemFinishedError } from '../../src/errors/classes.js'
import type { Outcome } from '../../src/item/outcome.js'
import type { Source, SourceItem, SourceScanOptions } from '../../src/work/source.js'

export class MemoryItem implements SourceItem {
  readonly args = []
  readonly enqueuedAt = new Date()
  readonly size = 2
  readonly signal = AbortSignal.abort()
  readonly claimed: boolean = false
  readonly outcome: Outcome | undefined
  tries = 0
  due = 0

  constructor(
    readonly source: MemorySource,
    readonly key: string,
  ) {}

  get id(): string {
    return `${this.key} ${this.tries}`
  }
  text = async (): Promise<string> => '{}'
  bytes = async (): Promise<Uint8Array> => Buffer.from(await this.text())
  json = async <T>(): Promise<T> => JSON.parse(await this.text()) as T
  done = async (): Promise<void> => void this.#leave('done')
  fail = async (): Promise<void> => void this.#leave('failed')
  release = async ({ delay = 0 } = {}): Promise<void> => void this.#leave('released', delay)
  retry = async ({ delay = 0 } = {}): Promise<'waiting' | 'failed'> =>
    this.#leave(this.tries + 1 < this.source.maxTries ? 'waiting' : 'failed', delay)

  claim(): this {
    const abort = new AbortController()
    const signals = { signal: abort.signal, abort: (reason: unknown) => abort.abort(reason) }
    this.source.log.push(`claim ${this.id}`)
    Object.assign(this, { claimed: true, outcome: undefined, ...signals })
    return this
  }

  #leave<End extends Outcome>(outcome: End, delay = 0): End {
    if (!this.claimed) throw new ItemFinishedError(`${this.id} has been finished already`)
    if (outcome !== 'released' && this.source.broken !== undefined) throw this.source.broken
    this.source.log.push(`${outcome} ${this.id}`)
    if (outcome === 'waiting') this.tries++
    if (outcome === 'done' || outcome === 'failed') this.source.items.delete(this)
    Object.assign(this, { claimed: false, outcome, due: Date.now() + delay })
    return outcome
  }
}

export class MemorySource implements Source<MemoryItem> {
  readonly items = new Set<MemoryItem>()
  readonly log: string[] = []
  maxTries = 3
  /** The error of each finish, and that of each scan. */
  broken: Error | undefined
  outage: (Error & { kind?: 'down' | 'missing' | 'closed' }) | undefined

  add = (...keys: string[]): void => keys.forEach((key) => this.items.add(new MemoryItem(this, key)))
  outageOf = (): 'down' | 'missing' | 'closed' => this.outage?.kind ?? 'missing'

  async *scan({ signal, onIdle }: SourceScanOptions): AsyncGenerator<MemoryItem, void, undefined> {
    for (;;) {
      signal.throwIfAborted()
      if (this.outage !== undefined) throw this.outage
      const item = [...this.items].find(({ claimed, due }) => !claimed && due <= Date.now())
      if (item === undefined) onIdle()
      if (item === undefined) await later(5, undefined, { signal })
      else yield item.claim()
    }
  }
}
