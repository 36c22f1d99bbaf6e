/**
 * Options of a worker.
 *
 * @module
 */
import os from 'node:os'
import { inspect } from 'node:util'

import { SettingError } from '../errors/classes.js'
import { checkFlag, checkMilliseconds, checkOptions, checkSignal } from '../options.js'
import { type Backoff, type BackoffFunction, backoffFunction } from './backoff.js'

/** Options of {@link work}, which works any source. */
export interface WorkerOptions<Item> {
  /** How many handlers run at once. Default: 1. */
  readonly concurrency?: number | undefined
  /** How long an item waits for its next try. Default: 1 s, then twice as long each time, an hour at most, a quarter of it random. */
  readonly backoff?: Backoff<Item> | undefined
  /**
   * Milliseconds after which the signal of a handler is aborted. That is all that happens: the item stays claimed until the handler has
   * ended, so that its next try never overlaps this one. 0: none. Default: 0.
   */
  readonly timeout?: number | undefined
  /** Whether done items are kept. `false`: they are discarded. Default: true. */
  readonly keepDone?: boolean | undefined
  /** Milliseconds that {@link Worker.close} gives running handlers before it aborts their signals. Default: 10,000. */
  readonly grace?: number | undefined
  /** Signals of the process that close the worker. A second one then has its usual effect. Default: none. */
  readonly closeOn?: readonly NodeJS.Signals[] | undefined
  /** Its abort closes the worker. */
  readonly signal?: AbortSignal | undefined
  /** Whether the worker waits for {@link Worker.resume} before it claims anything. Default: false. */
  readonly paused?: boolean | undefined
}

/** The names of {@link WorkerOptions}. */
export const WORKER_OPTIONS = [
  'concurrency',
  'backoff',
  'timeout',
  'keepDone',
  'grace',
  'closeOn',
  'signal',
  'paused',
] as const

/** {@link WorkerOptions}, checked. */
export interface CheckedOptions<Item> {
  readonly concurrency: number
  readonly backoff: BackoffFunction<Item>
  readonly timeout: number
  readonly keepDone: boolean
  readonly grace: number
  readonly closeOn: readonly NodeJS.Signals[]
  readonly signal: AbortSignal | undefined
  readonly paused: boolean
}

/** @throws {@link SettingError} */
export function checkWorkerOptions<Item>(options: WorkerOptions<Item>): CheckedOptions<Item> {
  checkOptions('work', options, WORKER_OPTIONS)
  const { concurrency = 1, timeout = 0, keepDone = true, grace = 10_000 } = options
  const { closeOn = [], signal, paused = false } = options
  checkConcurrency(concurrency)
  checkTimer('timeout', timeout)
  checkFlag('keepDone', keepDone)
  checkTimer('grace', grace)
  checkSignals(closeOn)
  checkSignal(signal)
  checkFlag('paused', paused)
  const backoff = backoffFunction(options.backoff)
  return { concurrency, backoff, timeout, keepDone, grace, closeOn: [...closeOn], signal, paused }
}

/** @throws {@link SettingError} */
export function checkConcurrency(
  concurrency: unknown,
  option = 'concurrency',
): asserts concurrency is number {
  if (Number.isSafeInteger(concurrency) && (concurrency as number) >= 1) return
  throw new SettingError(option, concurrency, 'a whole number of 1 or more')
}

/** @throws {@link SettingError} */
export function checkHandler(handler: unknown): void {
  if (typeof handler === 'function') return
  throw new SettingError('handler', handler, 'a function, or the URL of a module and the option processes')
}

/** Milliseconds. Node runs a longer timer at once. */
export const LONGEST_TIMER = 2 ** 31 - 1

/** @throws {@link SettingError} */
export function checkTimer(option: string, value: number): void {
  checkMilliseconds(option, value)
  if (value > LONGEST_TIMER) throw new SettingError(option, value, `milliseconds up to ${LONGEST_TIMER}`)
}

// The kernel lets no process listen to these.
const DEAF: readonly string[] = ['SIGKILL', 'SIGSTOP']

function checkSignals(signals: unknown): void {
  if (!Array.isArray(signals)) throw new SettingError('closeOn', signals, 'an array of signals')
  for (const signal of signals as unknown[]) {
    if (typeof signal === 'string' && Object.hasOwn(os.constants.signals, signal) && !DEAF.includes(signal))
      continue
    throw new SettingError(
      'closeOn',
      signals,
      `signals that a process can listen to, unlike ${inspect(signal)}`,
    )
  }
}
