/**
 * `fsq/testing`: helpers for the tests of programs that use queues. They use real files and real workers; docs/testing.md shows how.
 *
 * Everything here is made of what `fsq` exports, so that a test and the program that it tests have one copy of each class.
 *
 * @module fsq/testing
 */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import {
  FsqError,
  type Handler,
  type InstallOptions,
  type ItemOf,
  type ParserOptions,
  Queue,
  type QueueOptions,
  type QueueSettings,
  SettingError,
  type Shape,
  type Untyped,
  type WorkOptions,
  type Worker,
  type WorkerEvents,
} from './index.js'
import { performance } from './real-timers.js'

// A handler that never lets an item go would make drain() run for ever.
const MOST_RETURNS = 100

/** Options of {@link testQueue}: those of `Queue.install()`, without the root. */
export type TestQueueOptions<T extends Shape = Untyped> = Omit<QueueSettings, 'root'> &
  ParserOptions<T> &
  InstallOptions & {
    /** The name of the queue. Default: `test`. */
    readonly name?: string | undefined
  }

/** A queue in a temporary directory of its own, made by {@link testQueue}. */
export class TestQueue<out T extends Shape = Untyped> extends Queue<T> {
  /** Closes the queue and removes its directory. */
  async remove(): Promise<void> {
    await this.close()
    fs.rmSync(this.settings.root, { recursive: true, force: true })
  }

  /** {@link remove}, for `await using`. */
  override async [Symbol.asyncDispose](): Promise<void> {
    await this.remove()
  }
}

/**
 * Makes a queue in a temporary directory (`os.tmpdir()`), with the durability `none`.
 *
 * @param options - As those of `Queue.install()`, parsers included.
 * @returns The queue. `await using` removes it at the end of the block; else call `queue.remove()`.
 * @throws `SettingError`, or a file system error.
 * @example
 * ```ts
 * await using queue = await testQueue({ maxTries: 3 })
 * await queue.enqueue('data', ['args'])
 * ```
 */
export async function testQueue<T extends Shape = Untyped>(
  options: TestQueueOptions<T> = {} as TestQueueOptions<T>,
): Promise<TestQueue<T>> {
  if (typeof options !== 'object' || (options as unknown) === null)
    throw new SettingError('options', options, 'an object with options of testQueue')
  const { name = 'test', force, lockKind, claims, triggered, addHosts, ...settings } = options
  if ('root' in settings)
    throw new SettingError('root', settings.root, 'no root, because a test queue has a temporary one')
  const root = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'fsq-test-'))
  const own = { durability: 'none', ...settings, root } as unknown as QueueOptions<T>
  try {
    const installed = await Queue.install<T>(name, { ...own, force, lockKind, claims, triggered, addHosts })
    await installed.close()
    return new TestQueue<T>(name, own)
  } catch (error) {
    fs.rmSync(root, { recursive: true, force: true })
    throw error
  }
}

/**
 * What {@link drain} has done. Everything is in the order in which it happened.
 *
 * The arrays hold items and events, not counts: most tests ask which item, and `.length` has the count. The events are those of a worker
 * ({@link WorkerEvents}), so that a test reads like the program's own listeners.
 */
export interface Drained<Item> {
  /** The items that are done. Their `args`, `key` and `body` stay readable. */
  readonly done: readonly Item[]
  /** The tries that failed and were repeated: an item that failed twice is here twice. */
  readonly retried: readonly WorkerEvents<Item>['retried'][0][]
  /** The items that failed for good, with `id`, `reason` and `error`. */
  readonly failed: readonly WorkerEvents<Item>['failed'][0][]
  /**
   * All errors: of handlers, of items that failed unrun, and those that the worker had itself. After `expect(errors).toEqual([])`, a failing
   * test shows the error and not a number.
   */
  readonly errors: readonly unknown[]
}

/** Options of {@link drain}: those of `queue.work()`. */
export type DrainOptions<Item> = Omit<WorkOptions<Item>, 'paused'>

/**
 * Works the queue until nothing is left, and waits for no delay: whenever only delayed items are left, it moves the clock of the queue to the
 * next one ({@link advance}). So backoffs, `RetryLater` and delayed items take no time, and come in the order in which they are due. Items that
 * the handler adds are worked, too. Items that another worker holds are left to it.
 *
 * @param handler - As for `queue.work()`.
 * @param options - As for `queue.work()`.
 * @throws As `queue.work()`; the error because of which the worker cannot claim, for example if the queue is down; `FsqError` if an
 * item comes back a hundred times; `ClosingError` if the `signal` is aborted.
 * @example
 * ```ts
 * const { done, failed, errors } = await drain(queue, handler, { maxTries: 3 })
 * expect(errors).toEqual([])
 * expect(done.map(({ args }) => args)).toEqual([['welcome'], ['reminder']])
 * ```
 */
export async function drain<T extends Shape = Untyped>(
  queue: Queue<T>,
  handler: Handler<ItemOf<T>>,
  options: DrainOptions<ItemOf<T>> = {},
): Promise<Drained<ItemOf<T>>> {
  if (typeof (queue as Partial<Queue> | null | undefined)?.work !== 'function')
    throw new SettingError('queue', queue, 'a queue')
  if (typeof options !== 'object' || (options as unknown) === null)
    throw new SettingError('options', options, 'an object with options of work')
  const worker = await queue.work(handler, { ...options, paused: true })
  const stop = new AbortController()
  try {
    const drained = record(worker, stop)
    // A look without a delayed item may have met one that came due at that moment. A second look finds it.
    let isLast = false
    for (;;) {
      worker.resume()
      await worker.idle({ signal: stop.signal })
      stop.signal.throwIfAborted()
      const rest = restOf(queue)
      if (rest.count === 0) return drained
      if (rest.nextDue === undefined && isLast) return drained
      isLast = rest.nextDue === undefined
      // A worker that resumes looks at all items, also where no watch tells it of new times.
      worker.pause()
      if (rest.nextDue !== undefined) advance(queue, Math.max(0, rest.nextDue - now()) + 1)
    }
  } finally {
    await worker.close()
  }
}

/**
 * Lets time pass for the delayed items of a queue: each is due `ms` earlier, because its modification time moves. These are the real times of
 * real files: workers of any process obey them, and no timer is faked. The times in the names of items stay, so no TTL is nearer.
 *
 * @param ms - Milliseconds.
 * @returns How many items are due that were not.
 * @throws `SettingError`, or an error of `node:fs`.
 * @example
 * ```ts
 * await queue.enqueue('late', [], { delay: 3_600_000 })
 * advance(queue, 3_600_000) // 1
 * ```
 */
export function advance(queue: Pick<Queue, 'paths'>, ms: number): number {
  if (typeof (queue as Partial<Queue> | null | undefined)?.paths?.queue !== 'string')
    throw new SettingError('queue', queue, 'a queue')
  if (typeof ms !== 'number' || !Number.isFinite(ms) || ms < 0)
    throw new SettingError('ms', ms, 'milliseconds, a number of 0 or more')
  let due = 0
  for (const { file, dueAt } of itemsOf(queue)) {
    if (dueAt === undefined) continue
    const at = dueAt - ms
    try {
      fs.utimesSync(file, now() / 1000, at / 1000)
    } catch (error) {
      if (!isGone(error)) throw error
      continue
    }
    if (at <= now()) due++
  }
  return due
}

/** Keeps what a worker does. Aborts when the worker cannot go on. */
function record<Item extends ItemOf<Untyped>>(worker: Worker<Item>, stop: AbortController): Drained<Item> {
  const done: Item[] = []
  const retried: WorkerEvents<Item>['retried'][0][] = []
  const failed: WorkerEvents<Item>['failed'][0][] = []
  const errors: unknown[] = []
  const returns = new Map<string, number>()
  const comesBack = ({ key, id }: Item): void => {
    const count = (returns.get(key) ?? 0) + 1
    returns.set(key, count)
    if (count < MOST_RETURNS) return
    stop.abort(new FsqError(`The queue does not drain: the item ${id} has come back ${MOST_RETURNS} times`))
  }
  // A handler that has moved its item itself has not thrown.
  const note = (error: unknown): void => {
    if (error !== undefined) errors.push(error)
  }
  worker.on('done', ({ item }) => done.push(item))
  worker.on('retried', (event) => {
    retried.push(event)
    note(event.error)
    comesBack(event.item)
  })
  worker.on('postponed', ({ item }) => comesBack(item))
  worker.on('failed', (event) => {
    failed.push(event)
    note(event.error)
  })
  worker.on('error', note)
  worker.on('state', ({ state, error }) => {
    if (state !== 'down' && state !== 'missing' && state !== 'unfinished') return
    stop.abort(error ?? new FsqError(`The queue cannot be drained: it is ${state}`))
  })
  return { done, retried, failed, errors }
}

/** How many items are left, and when the next delayed one is due, in milliseconds since the epoch. */
function restOf(queue: Pick<Queue, 'paths'>): {
  readonly count: number
  readonly nextDue: number | undefined
} {
  let count = 0
  let nextDue: number | undefined
  for (const { dueAt } of itemsOf(queue)) {
    count++
    if (dueAt !== undefined && (nextDue === undefined || dueAt < nextDue)) nextDue = dueAt
  }
  return { count, nextDue }
}

/** The files in queue/. `dueAt`: an item is delayed while its modification time is after its change time and in the future. */
function* itemsOf({ paths }: Pick<Queue, 'paths'>): Generator<{
  readonly file: Buffer
  readonly dueAt: number | undefined
}> {
  for (const name of fs.readdirSync(paths.queue, { encoding: 'buffer' })) {
    const file = Buffer.concat([Buffer.from(`${paths.queue}/`), name])
    const stats = fs.lstatSync(file, { throwIfNoEntry: false })
    if (stats?.isFile() !== true) continue
    const { mtimeMs, ctimeMs } = stats
    yield { file, dueAt: mtimeMs > ctimeMs && mtimeMs > now() ? mtimeMs : undefined }
  }
}

/** The clock of the kernel, and not the one that a test may have replaced. */
function now(): number {
  return performance.timeOrigin + performance.now()
}

function isGone(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}
