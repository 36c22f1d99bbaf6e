/**
 * The file in which a forwarder writes which items it puts, before it puts them: `forwarded/SINK/HOST.PID.N`. Its lines are those of a worker's
 * file (meta/worker-lines.ts). `since` is the moment of the first put that has no answer (doubt.ts).
 *
 *     made as `.NAME`, locked, durable, renamed ──> open ── close(): removed if no line is left ──> closed
 *
 * The lock says that the forwarder lives: other forwarders read the file at any time, and change it only under its lock.
 *
 * @module
 */
import fs, { type FileHandle } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'

import type { LockKind, RawName } from '../addon/native.js'
import { FsqError } from '../errors/classes.js'
import { isMissing } from '../directory/presence.js'
import { codeOf } from '../errors/errno.js'
import { BOOT } from '../meta/boot.js'
import { tryLock } from '../meta/files.js'
import { hiddenName, workerFileName } from '../meta/layout.js'
import { LINE_BYTES, WorkerLines } from '../meta/worker-lines.js'
import { noCounts } from '../work/journal.js'
import { type Moment, momentText } from './doubt.js'

const MOST_NUMBERS = 10_000

/** How the files of forwarders are made. */
export interface PutFileForm {
  /** `forwarded/SINK/`. */
  readonly directory: string
  readonly mode: number
  readonly lockKind: LockKind
  /** Whether what is written survives a power cut. */
  readonly isDurable: boolean
}

/** The files of this process, which locks of the kind fcntl do not keep from this process. */
export const ownFiles = new Set<string>()

/** The file of one forwarder. */
export class PutFile {
  readonly name: string
  readonly #form: PutFileForm
  readonly #lines: WorkerLines
  readonly #handle: FileHandle
  #held = 0
  #writing: Promise<void> = Promise.resolve()

  /** @param items - How many lines there is room for at first. */
  static async make(form: PutFileForm, items: number): Promise<PutFile> {
    for (let number = 1; number < MOST_NUMBERS; number++) {
      const made = await this.#makeNumbered(form, items, workerFileName(os.hostname(), process.pid, number))
      if (made !== undefined) return made
    }
    throw new FsqError(`All names of files of the process ${process.pid} are taken in ${form.directory}`)
  }

  /** @returns `undefined`: another forwarder has the name, or has left a file with it. */
  static async #makeNumbered(form: PutFileForm, items: number, name: string): Promise<PutFile | undefined> {
    const file = path.join(form.directory, name)
    const hidden = path.join(form.directory, hiddenName(name))
    let handle: FileHandle
    try {
      handle = await fs.open(hidden, 'wx+', form.mode)
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return undefined
      throw error
    }
    try {
      await handle.chmod(form.mode)
      // With the hidden name taken, no other forwarder comes to have the name.
      if (!(await isThere(file)) && tryLock(handle.fd, form.lockKind)) {
        const made = new this(form, name, handle, linesOf(items))
        ownFiles.add(file)
        await made.write()
        await fs.rename(hidden, file)
        await syncDirectory(form)
        return made
      }
    } catch (error) {
      ownFiles.delete(file)
      await handle.close()
      await fs.rm(hidden, { force: true })
      throw error
    }
    await handle.close()
    await fs.rm(hidden, { force: true })
    return undefined
  }

  private constructor(form: PutFileForm, name: string, handle: FileHandle, lines: WorkerLines) {
    this.#form = form
    this.name = name
    this.#handle = handle
    this.#lines = lines
  }

  /** Whether a line has an item. */
  get isEmpty(): boolean {
    return this.#held === 0
  }

  /** Sets a line, which the next {@link write} writes. @returns The number of the line. */
  hold(id: RawName, since: Moment): number {
    this.#held++
    return this.#lines.hold({ id, since: momentText(since) })
  }

  update(line: number, id: RawName, since: Moment): void {
    this.#lines.update(line, { id, since: momentText(since) })
  }

  drop(line: number): void {
    this.#held--
    this.#lines.drop(line)
  }

  /** Whether the path of the file still leads to it. */
  async isInPlace(): Promise<boolean> {
    try {
      const [named, open] = await Promise.all([fs.lstat(this.#path), this.#handle.stat()])
      return named.dev === open.dev && named.ino === open.ino
    } catch (error) {
      if (isMissing(error)) return false
      throw error
    }
  }

  /** Writes the lines that have changed. They are durable when this resolves. @throws As `node:fs`. */
  async write(): Promise<void> {
    const writing = this.#writing.then(async () => this.#write(this.#form.isDurable))
    this.#writing = writing.catch(() => undefined)
    await writing
  }

  /** {@link write} for lines that have become blank, which need not be durable: a line too many does no harm. Never rejects. */
  async tidy(): Promise<void> {
    this.#writing = this.#writing.then(async () => this.#write(false)).catch(() => undefined)
    await this.#writing
  }

  /** Closes the file, and removes it if no line has an item. */
  async close(): Promise<void> {
    await this.tidy()
    try {
      if (this.isEmpty && (await this.isInPlace())) await fs.rm(this.#path, { force: true })
    } finally {
      await this.#handle.close()
      ownFiles.delete(this.#path)
    }
  }

  async #write(isDurable: boolean): Promise<void> {
    const { start, end } = this.#lines.takeChange()
    try {
      let at = start
      while (at < end) at += (await this.#handle.write(this.#lines.bytes, at, end - at, at)).bytesWritten
      if (isDurable) await this.#handle.datasync()
    } catch (error) {
      // What is in memory is right, and the next write tells of it.
      this.#lines.markAll()
      throw error
    }
  }

  get #path(): string {
    return path.join(this.#form.directory, this.name)
  }
}

/** Makes the entries of the directory durable. */
export async function syncDirectory({
  directory,
  isDurable,
}: Pick<PutFileForm, 'directory' | 'isDurable'>): Promise<void> {
  if (!isDurable) return
  const handle = await fs.open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** A blank line. */
export function blankLine(): Uint8Array {
  return new WorkerLines(0).bytes.subarray(0, LINE_BYTES)
}

function linesOf(items: number): WorkerLines {
  const lines = new WorkerLines(items)
  lines.worker = {
    version: 1,
    pid: process.pid,
    host: os.hostname(),
    ...(BOOT === undefined ? {} : { boot: BOOT }),
    started: new Date().toISOString(),
    concurrency: items,
    state: 'running',
    counters: noCounts(),
  }
  return lines
}

async function isThere(file: string): Promise<boolean> {
  try {
    await fs.lstat(file)
    return true
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}
