// A queue in memory: what a source needs that is no queue of files.
import { setTimeout as later } from 'node:timers/promises'

import { ItemFinishedError } from '../../src/errors/classes.js'
import type { Outcome } from '../../src/item/outcome.js'
import type { Source, SourceItem, SourceScanOptions } from '../../src/work/source.js'

export class MemoryItem implements SourceItem {
  id = ''
  tries = 0
  due = 0
  claimed = false
  outcome: Outcome | undefined
  #controller = new AbortController()

  constructor(
    readonly source: MemorySource,
    readonly key: string,
  ) {}

  get signal(): AbortSignal {
    return this.#controller.signal
  }
  abort = (reason: unknown): void => this.#controller.abort(reason)
  done = async (): Promise<void> => void this.#leave('done')
  fail = async (): Promise<void> => void this.#leave('failed')
  release = async ({ delay = 0 } = {}): Promise<void> => void this.#leave('released', delay)
  retry = async ({ delay = 0 } = {}): Promise<'waiting' | 'failed'> =>
    this.#leave(this.tries + 1 < this.source.maxTries ? 'waiting' : 'failed', delay)

  claim(): this {
    this.#controller = new AbortController()
    Object.assign(this, { claimed: true, outcome: undefined, id: `${this.key} ${this.tries}` })
    this.source.log.push(`claim ${this.id}`)
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
