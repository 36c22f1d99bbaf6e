/**
 * What a scan finds and cannot hand out is reported, and the scan goes on.
 *
 * @module
 */
import { inspect } from 'node:util'

import { type FsqError, SettingError } from './errors/classes.js'
import type { Layout } from './directory/layout.js'
import { type RawName, printable } from './name/charset.js'

/**
 * What happened to a file in the queue that was not handed out.
 *
 * - `malformed`: its name is not that of an item; moved to fail/.
 * - `expired`: it is older than the TTL; moved to fail/.
 * - `exhausted`: it has been tried as often as it may be; moved to fail/.
 * - `foreign`: it is not a regular file; left alone, never opened.
 * - `unreadable`: it may not be opened; left alone.
 * - `completed`: it was both here and where it had been moved to, as after a crash; the move was completed.
 * - `unmovable`: it should have gone to fail/ and could not; left alone.
 * - `ungrowable`: it should have been tried again, and its name would have been too long; moved to fail/.
 * - `undelayed`: it is to be tried again at once, as only the owner of a file may set its time.
 * - `recovered`: a finish that had failed has succeeded now.
 * - `trigger`: the FIFO could not be pulled after an enqueue, or not be listened to; items are found without it, if later.
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

/** One thing worth knowing about one file. */
export interface Report {
  /** What has happened. */
  readonly type: ReportType
  /** The queue. */
  readonly queue: string
  /** The name of the file, made fit to be shown. */
  readonly name: string
  /** The name as it is: one character a byte. `Buffer.from(rawName, 'latin1')` has the bytes. */
  readonly rawName: string
  /** What happened, in a sentence. */
  readonly message: string
  /** The error behind it, where there is one. */
  readonly error?: FsqError
}

/**
 * Hears of reports. What it throws ends the scan that had something to report; beside an enqueue, a retry or a finish, which it cannot
 * undo, it is a warning of the process.
 */
export type ReportListener = (report: Report) => void

// Enough for any queue that is looked after; after that some are reported again, rather than memory filled up.
const MOST_REMEMBERED = 10_000

/** What has been reported: a scan comes by again and again, and what stays where it is would be reported each time. */
class Reported {
  readonly #keys = new Set<string>()

  /** Whether this is the first time. */
  add(key: string): boolean {
    if (this.#keys.has(key)) return false
    if (this.#keys.size === MOST_REMEMBERED) this.#keys.clear()
    this.#keys.add(key)
    return true
  }
}

/** All handles of a process share its warnings. */
const warned = new Reported()

/** Passes reports of one handle on, each once: to a listener, or as a warning of the process. */
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
   * The reporter for scans of the handle that have this listener of their own.
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

  /** Whatever the listener throws is thrown. */
  report(type: ReportType, rawName: RawName, message: string, error?: FsqError): void {
    const key = `${type} ${rawName}`
    const name = printable(rawName)
    if (this.#listener !== undefined) {
      if (!this.#heard.add(key)) return
      const report: Report = { type, queue: this.#layout.name, name, rawName, message }
      this.#listener(error === undefined ? report : { ...report, error })
      return
    }
    if (!warned.add(`${this.#layout.path} ${key}`)) return
    process.emitWarning(`${inspect(name)} in the queue ${inspect(this.#layout.name)} ${message}`, {
      type: 'FsqWarning',
      code: `FSQ_${type.toUpperCase()}`,
    })
  }

  /**
   * {@link report}, of what has happened beside something that has succeeded: an error of the listener must not pass for one of
   * the operation, which somebody would do again.
   */
  reportBeside(type: ReportType, rawName: RawName, message: string, error?: FsqError): void {
    try {
      this.report(type, rawName, message, error)
    } catch (thrown) {
      process.emitWarning(`onReport has thrown: ${inspect(thrown)}`, {
        type: 'FsqWarning',
        code: 'FSQ_ON_REPORT',
      })
    }
  }
}
