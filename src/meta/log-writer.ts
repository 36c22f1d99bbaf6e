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
import { appendLineLater, makeLogs, trimLater } from './log-later.js'

const { ENOENT } = os.constants.errno

/** Writes the logs of one queue. */
export class LogWriter {
  readonly #meta: MetaDirectory
  readonly #directory: RawName
  /** Whether a file server may keep a call waiting, so that this thread makes none. */
  readonly #isFar: boolean
  /** `undefined`: to be looked up before the next line. */
  #form: LogForm | undefined
  /** The form has to be looked up, even if there is one. */
  #isOld = true
  #preparing: Promise<void> | undefined

  constructor(meta: MetaDirectory, isFar: boolean) {
    this.#meta = meta
    this.#isFar = isFar
    this.#directory = toRaw(partPath(meta.layout, 'log'), 'utf8')
  }

  /** The next line, or the next {@link prepareLater}, looks up the mode and the owner of the queue. */
  forgetForm(): void {
    this.#isOld = true
    if (!this.#isFar) this.#form = undefined
  }

  /** Where this thread makes no calls: to be awaited before an item is in hand, whose failure has to be logged. Never rejects. */
  async prepareLater(): Promise<void> {
    if (this.#isOld) this.#preparing = this.#prepareNow()
    await this.#preparing
  }

  async #prepareNow(): Promise<void> {
    this.#isOld = false
    this.#form = await this.#meta.attemptLater('log', async () => makeLogs(this.#meta))
  }

  /**
   * A line for the log of an item. Never throws.
   *
   * @returns `undefined`: no log can be made, which is reported.
   */
  entry(key: RawName, line: LogLine): LogEntry | undefined {
    if (this.#isFar) {
      const form = this.#form
      return form && this.#entryOf(key, line, form, (result) => void this.#settleLater(key, line, result))
    }
    return this.#meta.attempt('log', () =>
      this.#entryOf(key, line, (this.#form ??= this.#prepare()), (result) => this.#settle(key, line, result)),
    )
  }

  #entryOf(key: RawName, line: LogLine, form: LogForm, settle: LogEntry['settle']): LogEntry {
    return { path: `${this.#directory}/${key}`, line: textOf(line), form, settle }
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
  /** {@link #settle} beside this thread. */
  async #settleLater(key: RawName, line: LogLine, result: LogResult): Promise<void> {
    await this.#meta.attemptLater('log', async () => {
      if (!isFailure(result)) await trimLater(this.#meta, key, result)
      else if (result.errno === -ENOENT) await appendLineLater(this.#meta, key, line)
      else throw systemError(result)
    })
  }
}
