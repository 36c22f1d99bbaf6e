// A worker over a source in memory, and all that it says.
import { afterEach } from '@jest/globals'

import type { WorkerEvents } from '../../src/work/events.js'
import type { Journal, Suspicion } from '../../src/work/journal.js'
import { type WorkerOptions, checkWorkerOptions } from '../../src/work/options.js'
import type { Handler } from '../../src/work/run.js'
import { HandlerWorker } from '../../src/work/worker.js'
import { type MemoryItem, MemorySource } from './memory-source.js'

export type Events = WorkerEvents<MemoryItem>

const EVENTS = [
  'started',
  'done',
  'retried',
  'postponed',
  'failed',
  'released',
  'stuck',
  'crashed',
  'idle',
  'state',
  'report',
  'error',
] as const

const open = new Set<HandlerWorker<MemoryItem>>()

afterEach(async () => {
  await Promise.all([...open].map(async (worker) => worker.close({ grace: 0 })))
  open.clear()
})

/** Keeps the calls of a journal. */
export class RecordingJournal implements Journal<MemoryItem> {
  readonly calls: string[] = []
  readonly attempts: { id: string; error: unknown; due?: number; reason?: string }[] = []
  suspicions = new Map<string, Suspicion>()

  begin(items: readonly MemoryItem[], ended: readonly MemoryItem[] = []): readonly Suspicion[] {
    if (ended.length > 0) this.end(ended)
    this.calls.push(`begin ${keys(items)}`)
    return items.map(({ key }) => this.suspicions.get(key) ?? 'none')
  }
  end(items: readonly MemoryItem[]): void {
    this.calls.push(`end ${keys(items)}`)
  }
  failed({ id }: MemoryItem, attempt: { error: unknown; due?: number; reason?: string }): void {
    this.calls.push(`failed ${id}`)
    this.attempts.push({ id, ...attempt })
  }
  progress({ key }: MemoryItem, value: unknown): void {
    this.calls.push(`progress ${key} ${String(value)}`)
  }
  state(state: string): void {
    const call = `state ${state}`
    if (this.calls.findLast((earlier) => earlier.startsWith('state')) !== call) this.calls.push(call)
  }
  closing(): void {
    this.calls.push('closing')
  }
  close(): void {
    this.calls.push('close')
  }
}

export class Workshop {
  readonly source = new MemorySource()
  readonly journal = new RecordingJournal()
  readonly events: { [Name in keyof Events]: Events[Name][0][] } = Object.fromEntries(
    EVENTS.map((name) => [name, []]),
  ) as never
  /** The names of the events, in their order, without 'started' and 'state'. */
  readonly told: string[] = []

  constructor(...items: string[]) {
    this.source.add(...items)
  }

  work(handler: Handler<MemoryItem>, options: WorkerOptions<MemoryItem> = {}): HandlerWorker<MemoryItem> {
    const { source, journal } = this
    const worker = new HandlerWorker({ source, handler, options: checkWorkerOptions(options), journal })
    for (const name of EVENTS) {
      if (name === 'idle') continue
      worker.on(name, (event: unknown) => {
        ;(this.events[name] as unknown[]).push(event)
        if (name !== 'started' && name !== 'state') this.told.push(name)
      })
    }
    open.add(worker)
    return worker.start()
  }

  get states(): string[] {
    return this.events.state.map(({ state }) => state)
  }
}

const keys = (items: readonly MemoryItem[]): string => items.map(({ key }) => key).join(',')

/** A handler that runs until it is let go. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = (): void => undefined
  const opened = new Promise<void>((resolve) => (open = resolve))
  return { opened, open }
}
