/** Loops that wait, for tests. */
import { expect, jest } from '@jest/globals'

import type { WorkItem } from '../../src/item/work-item.js'
import { native } from '../../src/addon/native.js'
import type { Queue } from '../../src/queue.js'
import type { ScanForeverOptions } from '../../src/scan/options.js'
import { until } from './queue.js'

/** A loop that waits, and finishes each item as it comes. */
export class Loop {
  readonly ids: string[] = []
  readonly ended: Promise<unknown>
  readonly #stop = new AbortController()

  constructor(
    queue: Queue,
    options: ScanForeverOptions = {},
    work: (item: WorkItem) => Promise<unknown> = async (item) => item.done(),
  ) {
    this.ended = this.#run(queue, options, work)
  }

  /** Resolves when so many items have come. */
  async has(count: number): Promise<void> {
    await until(`${count} items have come`, () => this.ids.length >= count)
  }

  async stop(): Promise<void> {
    this.#stop.abort()
    expect(await this.ended).toBe(this.#stop.signal.reason)
  }

  async #run(
    queue: Queue,
    options: ScanForeverOptions,
    work: (item: WorkItem) => Promise<unknown>,
  ): Promise<unknown> {
    try {
      for await (const item of queue.scanForever({ signal: this.#stop.signal, ...options })) {
        this.ids.push(item.id)
        await work(item)
      }
    } catch (error) {
      return error
    }
    return undefined
  }
}

/** Counts the looks for items. Called when all loops wait. */
export function watchLooks(): { readonly looks: () => number; readonly claims: () => number } {
  const lists = [jest.spyOn(native, 'list'), jest.spyOn(native, 'listSync')]
  const claims = [jest.spyOn(native, 'claim'), jest.spyOn(native, 'claimSync')]
  const sum = (spies: readonly { mock: { calls: unknown[] } }[]): number =>
    spies.reduce((total, { mock }) => total + mock.calls.length, 0)
  return { looks: () => sum(lists), claims: () => sum(claims) }
}

/** Starts loops, and resolves when all of them wait. */
export async function whileWaiting(count: number, start: () => Loop): Promise<Loop[]> {
  const waits = jest.spyOn(native, 'awaitWatch')
  const loops = Array.from({ length: count }, start)
  await until('all wait', () => waits.mock.calls.length >= count)
  waits.mockRestore()
  return loops
}

export async function waitingLoop(queue: Queue, options: ScanForeverOptions = {}): Promise<Loop> {
  const [loop] = await whileWaiting(1, () => new Loop(queue, options))
  if (loop === undefined) throw new Error('no loop')
  return loop
}
