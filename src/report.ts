/**
 * Reports files that a scan finds but does not hand out. The scan continues.
 *
 * @module
 */
import { inspect } from 'node:util'

import { type FsqError, SettingError } from './errors/classes.js'
import { type Layout, shownName } from './directory/layout.js'
import { type RawName, printable } from './name/charset.js'
import { shown } from './shown.js'

/**
 * Why a file in the queue was not handed out, or what happened to it.
 *
 * - `malformed`: its name is not an item name; moved to fail/.
 * - `expired`: it is older than the TTL; moved to fail/.
 * - `exhausted`: it has used up its tries; moved to fail/.
 * - `foreign`: it is not a regular file; left alone and never opened.
 * - `unreadable`: this process may not open it; left alone.
 * - `completed`: it was both here and at the target of its move, for example after a crash; the move was completed.
 * - `unmovable`: it should have been moved to fail/ or given back to queue/, but could not be; left where it is.
 * - `ungrowable`: it should have been retried, but its new name would have been too long; moved to fail/.
 * - `undelayed`: it is retried without its delay, because only the owner of a file may set its time.
 * - `recovered`: a finish or a give-back that had failed before has now succeeded.
 * - `trigger`: the FIFO could not be pulled after an enqueue, or could not be listened to; items are still found, but
 *   later.
 * - `meta`: a part of meta/ cannot be written or read; work goes on without it.
 */
export type ReportType =
  | 'malformed'
  | 'expired'
  | 'exhausted'
  | 'foreign'
  | 'unreadable'
  | 'completed'
  | 'unmovable'
  | 'ungrowable'
  | 'undelayed'
  | 'recovered'
  | 'trigger'
  | 'meta'

/** One report about one file. */
export interface Report {
  /** What has happened. */
  readonly type: ReportType
  /** The queue. */
  readonly queue: string
  /** The name of the file, safe to show. */
  readonly name: string
  /** The exact name, with one character per byte. `Buffer.from(rawName, 'latin1')` has the bytes. */
  readonly rawName: string
  /** What happened, as a sentence. */
  readonly message: string
  /** The error behind it, if there is one. */
  readonly error?: FsqError
}

/**
 * Called with each report. An error that it throws ends the scan that reported. During an enqueue, a retry or a
 * finish, which cannot be undone, the error becomes a process warning instead.
 */
export type ReportListener = (report: Report) => void

// Enough for any queue that is maintained. Beyond that, some reports repeat, which is better than filling the memory.
const MOST_REMEMBERED = 10_000

/**
 * Remembers reports that were made: a scan passes over the same files again and again, and each would be reported
 * every time.
 */
class Reported {
  readonly #keys = new Set<string>()

  /** True the first time. */
  add(key: string): boolean {
    if (this.#keys.has(key)) return false
    if (this.#keys.size === MOST_REMEMBERED) this.#keys.clear()
    this.#keys.add(key)
    return true
  }
}

/** Reports of moves: each tells of another one, also if the file has failed before and was moved back by a redrive. */
const MOVES: readonly ReportType[] = ['malformed', 'expired', 'exhausted']

/** Warnings are process-wide, so all handles share this. */
const warned = new Reported()

/** Passes the reports of one handle on, each of them once, but each move: to the listener, or as process warnings. */
export class Reporter {
  readonly #layout: Layout
  readonly #listener: ReportListener | undefined
  readonly #heard = new Reported()
  readonly #ofScans = new WeakMap<ReportListener, Reporter>()

  /** @throws {@link SettingError} if the listener cannot be called. */
  constructor(layout: Layout, listener: ReportListener | undefined) {
    if (listener !== undefined && typeof listener !== 'function')
      throw new SettingError('onReport', listener, 'a function')
    this.#layout = layout
    this.#listener = listener
  }

  /**
   * The reporter for scans that have a listener of their own.
   *
   * @throws {@link SettingError} if the listener cannot be called.
   */
  forScan(listener: ReportListener): Reporter {
    const known = this.#ofScans.get(listener)
    if (known !== undefined) return known
    const reporter = new Reporter(this.#layout, listener)
    this.#ofScans.set(listener, reporter)
    return reporter
  }

  /** Reports. An error that the listener throws is passed on. */
  report(type: ReportType, rawName: RawName, message: string, error?: FsqError): void {
    const key = `${type} ${rawName}`
    const name = printable(rawName)
    if (this.#listener !== undefined) {
      if (!MOVES.includes(type) && !this.#heard.add(key)) return
      const report: Report = { type, queue: this.#layout.name, name, rawName, message }
      this.#listener(error === undefined ? report : { ...report, error })
      return
    }
    if (!warned.add(`${this.#layout.path} ${key}`)) return
    process.emitWarning(`${inspect(name)} in the ${shownName(this.#layout)} ${message}`, {
      type: 'FsqWarning',
      code: `FSQ_${type.toUpperCase()}`,
    })
  }

  /**
   * Like {@link report}, after an operation that succeeded. If the listener throws, the process is warned, because a
   * rejection would make the caller repeat the operation.
   */
  reportBeside(type: ReportType, rawName: RawName, message: string, error?: FsqError): void {
    try {
      this.report(type, rawName, message, error)
    } catch (thrown) {
      process.emitWarning(`onReport threw: ${shown(thrown)}`, {
        type: 'FsqWarning',
        code: 'FSQ_ON_REPORT',
      })
    }
  }
}
