/**
 * Options of a forwarder.
 *
 * @module
 */
import { SettingError } from '../errors/classes.js'
import { checkFlag, checkMilliseconds, checkOptions, checkSignal } from '../options.js'
import { checkConcurrency, checkTimer } from '../work/options.js'

/** Options of {@link forward}. */
export interface ForwardOptions {
  /**
   * How many items are claimed and handed over at once. 1 keeps the order of the claims; a greater number does not. Default: 256. The contents
   * in flight never exceed 8 MiB together, except those of one item that is larger.
   */
  readonly inFlight?: number | undefined
  /**
   * Milliseconds for which a forwarded item stays in done/, so that the queue can repair what the target loses in a disaster. It is removed
   * after at most a quarter of that time more, or a minute or two. 0: it is removed at once. `Infinity`: it stays. Default: 600,000, ten
   * minutes.
   */
  readonly keep?: number | undefined
  /**
   * What becomes of an item that may have been put longer ago than the target remembers ids ({@link Sink.remembers}, less a minute).
   * `hold`: it moves to fail/ with an {@link InDoubtError}; a retry then puts it. `publish`: it is put, and may arrive twice.
   * Default: `hold`.
   */
  readonly inDoubt?: 'hold' | 'publish' | undefined
  /** Milliseconds that {@link Forwarder.close} gives puts in flight before it aborts their signal. Default: 10,000. */
  readonly grace?: number | undefined
  /** Signals of the process that close the forwarder. A second one then has its usual effect. Default: none. */
  readonly closeOn?: readonly NodeJS.Signals[] | undefined
  /** Its abort closes the forwarder. */
  readonly signal?: AbortSignal | undefined
  /** Whether the forwarder waits for {@link Forwarder.resume} before it claims anything. Default: false. */
  readonly paused?: boolean | undefined
}

const OPTIONS = ['inFlight', 'keep', 'inDoubt', 'grace', 'closeOn', 'signal', 'paused'] as const

/** {@link ForwardOptions}, checked. */
export interface CheckedForwardOptions {
  readonly inFlight: number
  readonly keep: number
  readonly inDoubt: 'hold' | 'publish'
  readonly grace: number
  readonly closeOn: readonly NodeJS.Signals[]
  readonly signal: AbortSignal | undefined
  readonly paused: boolean
}

/** Checks all but `closeOn`, which the worker checks. @throws {@link SettingError} */
export function checkForwardOptions(options: ForwardOptions): CheckedForwardOptions {
  checkOptions('forward', options, OPTIONS)
  const { inFlight = 256, keep = 600_000, inDoubt = 'hold', grace = 10_000 } = options
  const { closeOn = [], signal, paused = false } = options
  checkConcurrency(inFlight, 'inFlight')
  if (keep !== Infinity) checkMilliseconds('keep', keep)
  if (!['hold', 'publish'].includes(inDoubt))
    throw new SettingError('inDoubt', inDoubt, "'hold' or 'publish'")
  checkTimer('grace', grace)
  checkSignal(signal)
  checkFlag('paused', paused)
  return { inFlight, keep, inDoubt, grace, closeOn, signal, paused }
}
