/**
 * The journal of a scan: that of a worker, from the first item on. A scan that finds nothing writes nothing.
 *
 * @module
 */
import type { WorkItem } from '../item/work-item.js'
import type { Guard } from '../meta/guard.js'
import type { Counters, FailedAttempt, Journal, Suspicion, WorkerState } from '../work/journal.js'

export class ScanJournal implements Journal<WorkItem> {
  readonly #open: () => Guard
  #guard: Guard | undefined

  /** @param open - Opens the journal, which buries the workers that have died before. */
  constructor(open: () => Guard) {
    this.#open = open
  }

  begin(items: readonly WorkItem[], ended?: readonly WorkItem[]): readonly Suspicion[] {
    this.#guard ??= this.#open()
    return this.#guard.begin(items, ended)
  }

  end(items: readonly WorkItem[]): void {
    this.#guard?.end(items)
  }

  failed(item: WorkItem, attempt: FailedAttempt): void {
    this.#guard?.failed(item, attempt)
  }

  progress(item: WorkItem, value: unknown): void {
    this.#guard?.progress(item, value)
  }

  state(state: WorkerState, counters: Counters): void {
    this.#guard?.state(state, counters)
  }

  closing(): void {
    this.#guard?.closing()
  }

  close(): void {
    this.#guard?.close()
  }
}
