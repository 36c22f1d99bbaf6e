/**
 * Waiting for a lock by trying again and again. A call that blocks in the kernel could not be cancelled, and four such calls would
 * stop all file access of the process.
 *
 * @module
 */
import { performance } from 'node:perf_hooks'
import { setTimeout as later } from 'node:timers/promises'

import { SettingError } from '../errors/classes.js'
import { checkSignal } from '../options.js'

/** How long a call waits for a lock. */
export interface TimeoutOptions {
  /** Milliseconds; 0: one try. Default: no limit. */
  readonly timeout?: number | undefined
}

/** How long a call waits for a lock, if the wait can be cancelled. */
export interface WaitOptions extends TimeoutOptions {
  /** Cancels the wait at once: the call rejects with the signal's reason and locks nothing. */
  readonly signal?: AbortSignal | undefined
}

// Milliseconds between two tries.
const SHORTEST_PAUSE = 1
const LONGEST_PAUSE = 50

/** @throws {@link SettingError} */
export function checkWait(options: WaitOptions): void {
  checkSignal(options.signal)
  checkTimeout(options)
}

/** @throws {@link SettingError} */
export function checkTimeout({ timeout }: TimeoutOptions): void {
  if (timeout === undefined || (typeof timeout === 'number' && timeout >= 0)) return
  throw new SettingError('timeout', timeout, 'a number of milliseconds, 0 or more')
}

/** The pauses of one wait. */
class Pauses {
  readonly #end: number
  #longest = SHORTEST_PAUSE

  constructor(timeout: number) {
    this.#end = performance.now() + timeout
  }

  /** Milliseconds until the next try; `undefined`: the time is up. */
  next(): number | undefined {
    const left = this.#end - performance.now()
    if (left <= 0) return undefined
    // Random, so that waiting callers do not try at the same moment each time.
    const pause = this.#longest * (0.5 + Math.random() / 2)
    this.#longest = Math.min(this.#longest * 2, LONGEST_PAUSE)
    return Math.min(pause, left)
  }
}

/**
 * Tries until there is a result.
 *
 * @param discard - Undoes a result that arrives after the abort.
 * @returns `undefined`: the time is up.
 * @throws The signal's reason.
 */
export async function waitFor<Result>(
  attempt: () => Promise<Result | undefined>,
  { timeout = Infinity, signal }: WaitOptions,
  discard: (late: Result) => void,
): Promise<Result | undefined> {
  signal?.throwIfAborted()
  const pauses = new Pauses(timeout)
  for (;;) {
    const result = await untilAborted(attempt(), signal, discard)
    if (result !== undefined) return result
    const pause = pauses.next()
    if (pause === undefined) return undefined
    await later(pause, undefined, signal === undefined ? {} : { signal }).catch((error: unknown) => {
      signal?.throwIfAborted()
      throw error
    })
  }
}

/** Synchronous {@link waitFor}: the thread sleeps between the tries. */
export function waitForSync<Result>(
  attempt: () => Result | undefined,
  { timeout = Infinity }: TimeoutOptions,
): Result | undefined {
  const pauses = new Pauses(timeout)
  const sleeper = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  for (;;) {
    const result = attempt()
    if (result !== undefined) return result
    const pause = pauses.next()
    if (pause === undefined) return undefined
    Atomics.wait(sleeper, 0, 0, pause)
  }
}

// The attempt may wait for a thread of the pool for a long time.
async function untilAborted<Result>(
  attempt: Promise<Result | undefined>,
  signal: AbortSignal | undefined,
  discard: (late: Result) => void,
): Promise<Result | undefined> {
  if (signal === undefined) return attempt
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      reject(signal.reason as Error)
      attempt.then(
        (late) => {
          if (late !== undefined) discard(late)
        },
        () => undefined,
      )
    }
    signal.addEventListener('abort', abort, { once: true })
    attempt.then(resolve, reject).finally(() => {
      signal.removeEventListener('abort', abort)
    })
  })
}
