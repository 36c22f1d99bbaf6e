/**
 * The lines of failed attempts, which go to the logs of their items ahead of the moves of these items.
 *
 * @module
 */
import os from 'node:os'

import { type LogResult, isFailure } from '../addon/native.js'
import type { LogEntry, LogForm } from '../addon/packing.js'
import { systemError } from '../errors/system-error.js'
import { type RawName, toRaw } from '../name/charset.js'
import type { MetaDirectory } from './directory.js'
import { partPath } from './layout.js'
import { type LogLine, appendLine, logForm, textOf, trimIfLong } from './log.js'

const { ENOENT } = os.constants.errno

/** Writes the logs of one queue. */
export class LogWriter {
  readonly #meta: MetaDirectory
  readonly #directory: RawName
  /** `undefined`: to be looked up before the next line. */
  #form: LogForm | undefined

  constructor(meta: MetaDirectory) {
    this.#meta = meta
    this.#directory = toRaw(partPath(meta.layout, 'log'), 'utf8')
  }

  /** The next line looks up the mode and the owner of the queue. */
  forgetForm(): void {
    this.#form = undefined
  }

  /**
   * A line for the log of an item. Never throws.
   *
   * @returns `undefined`: no log can be made, which is reported.
   */
  entry(key: RawName, line: LogLine): LogEntry | undefined {
    return this.#meta.attempt('log', () => ({
      path: `${this.#directory}/${key}`,
      line: textOf(line),
      form: (this.#form ??= this.#prepare()),
      settle: (result) => this.#settle(key, line, result),
    }))
  }

  #prepare(): LogForm {
    const { access, lockKind } = this.#meta
    this.#meta.make('log', access)
    return logForm(lockKind, access)
  }

  #settle(key: RawName, line: LogLine, result: LogResult): void {
    this.#meta.attempt('log', () => {
      if (!isFailure(result)) trimIfLong(this.#meta, key, result)
      // Another program has removed meta/.
      else if (result.errno === -ENOENT) appendLine(this.#meta, key, line)
      else throw systemError(result)
    })
  }
}
