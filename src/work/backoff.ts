/**
 * How long an item waits for its next try.
 *
 * @module
 */
import { SettingError } from '../errors/classes.js'
import { LONGEST_DELAY, checkMilliseconds, checkOptions } from '../options.js'
import { shown } from '../shown.js'

/** Delays that grow from try to try: `min(max, delay * factor ** tries) * (1 - jitter * random())`. */
export interface BackoffOptions {
  /** Milliseconds after the first failed try. Default: 1000. */
  readonly delay?: number | undefined
  /** How many times as long each delay is as the one before it. 1: all are the same. Default: 2. */
  readonly factor?: number | undefined
  /** The longest delay in milliseconds. Default: 3,600,000, an hour. */
  readonly max?: number | undefined
  /** The share of each delay that is random, from 0 to 1, so that items that failed together do not all return together. Default: 0.25. */
  readonly jitter?: number | undefined
}

/**
 * Milliseconds until the next try, given the number of tries that had failed before this one, its error and the item. `false`: the item
 * fails for good.
 */
export type BackoffFunction<Item> = (tries: number, error: unknown, item: Item) => number | false

/** A delay of the given milliseconds, growing delays, or a function that decides. */
export type Backoff<Item> = number | BackoffOptions | BackoffFunction<Item>

const DEFAULT = { delay: 1000, factor: 2, max: 3_600_000, jitter: 0.25 }

/** The delay by default. */
export function defaultBackoff(tries: number): number {
  return grown(DEFAULT, tries)
}

/**
 * The function behind any form of backoff.
 *
 * @throws {@link SettingError}
 */
export function backoffFunction<Item>(backoff: Backoff<Item> | undefined): BackoffFunction<Item> {
  if (backoff === undefined) return defaultBackoff
  if (typeof backoff === 'function') return backoff
  if (typeof backoff === 'number') {
    checkMilliseconds('backoff', backoff)
    return () => backoff
  }
  if (typeof backoff !== 'object') {
    throw new SettingError('backoff', backoff, 'milliseconds, a function, or { delay, factor, max, jitter }')
  }
  checkOptions('backoff', backoff, ['delay', 'factor', 'max', 'jitter'])
  const {
    delay = DEFAULT.delay,
    factor = DEFAULT.factor,
    max = DEFAULT.max,
    jitter = DEFAULT.jitter,
  } = backoff
  checkMilliseconds('delay', delay)
  checkMilliseconds('max', max)
  if (!(Number.isFinite(factor) && factor >= 1))
    throw new SettingError('factor', factor, 'a number of 1 or more')
  if (!(jitter >= 0 && jitter <= 1)) throw new SettingError('jitter', jitter, 'a number from 0 to 1')
  const shape = { delay, factor, max, jitter }
  return (tries) => grown(shape, tries)
}

/** What a backoff function has answered; `problem` says what is wrong with its answer, if anything is. */
export interface BackoffAnswer {
  /** `false`: the item fails for good. */
  readonly delay: number | false
  readonly problem?: Error
}

/** Asks a backoff function. If it throws, or answers with no delay, the default delay is taken. */
export function askBackoff<Item>(
  backoff: BackoffFunction<Item>,
  tries: number,
  error: unknown,
  item: Item,
): BackoffAnswer {
  try {
    const delay: unknown = backoff(tries, error, item)
    if (delay === false) return { delay }
    checkMilliseconds('backoff', delay)
    return { delay: Math.min(delay as number, LONGEST_DELAY) }
  } catch (thrown) {
    return {
      delay: defaultBackoff(tries),
      problem: errorOf(thrown),
    }
  }
}

/** Never throws, whatever was thrown. */
function errorOf(thrown: unknown): Error {
  try {
    if (thrown instanceof Error) return thrown
  } catch {
    // A proxy, say.
  }
  return new Error(`The backoff function threw ${shown(thrown)}`)
}

function grown({ delay, factor, max, jitter }: typeof DEFAULT, tries: number): number {
  return Math.min(max, delay * factor ** tries) * (1 - jitter * Math.random())
}
