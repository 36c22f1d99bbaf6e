/**
 * The files of the other forwarders of one queue and target, living and dead (put-file.ts). All are read before each put, so nothing depends on
 * noticing the death of a forwarder in time.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs/promises'
import path from 'node:path'

import type { RawName } from '../addon/native.js'
import { isMissing } from '../directory/presence.js'
import { codeOf } from '../errors/errno.js'
import { tryLock } from '../meta/files.js'
import { isHidden, isWorkerFileName } from '../meta/layout.js'
import { LINE_BYTES, parseWorkerLines } from '../meta/worker-lines.js'
import { type Moment, parseMoment } from './doubt.js'
import { type PutFileForm, blankLine, ownFiles, syncDirectory } from './put-file.js'

/** A file that is being made is renamed within milliseconds. */
const LEFTOVER_MS = 3600 * 1000

/** A line of another forwarder. */
export interface OtherLine {
  readonly id: RawName
  readonly since: Moment
}

export class OtherFiles {
  readonly #form: PutFileForm

  constructor(form: PutFileForm) {
    this.#form = form
  }

  /**
   * All lines.
   *
   * @param own - The name of the caller's file, which is not read.
   * @throws As `node:fs`.
   */
  async read(own: string): Promise<readonly OtherLine[]> {
    const lines: OtherLine[] = []
    for (const name of await this.#names()) {
      if (name === own || isHidden(name)) continue
      const bytes = await readIfThere(this.#pathOf(name))
      if (bytes !== undefined) lines.push(...linesIn(bytes))
    }
    return lines
  }

  /**
   * Removes lines from the files of dead forwarders, and files without a line.
   *
   * @param isOver - Which lines go: their items have left queue/.
   * @throws As `node:fs`.
   */
  async clear(isOver: (ids: readonly RawName[]) => Promise<ReadonlySet<RawName>>): Promise<void> {
    // Without the directory there is nothing to clear.
    const names = await this.#names().catch((error: unknown) => {
      if (isMissing(error)) return []
      throw error
    })
    for (const name of names) {
      const file = this.#pathOf(name)
      if (ownFiles.has(file)) continue
      if (isHidden(name)) await removeLeftover(file)
      else await this.#clearFile(file, isOver)
    }
  }

  async #clearFile(
    file: string,
    isOver: (ids: readonly RawName[]) => Promise<ReadonlySet<RawName>>,
  ): Promise<void> {
    const handle = await openIfThere(file)
    if (handle === undefined) return
    try {
      if (!tryLock(handle.fd, this.#form.lockKind)) return
      const lines = linesIn(await handle.readFile())
      const over = await isOver(lines.map(({ id }) => id))
      if (lines.every(({ id }) => over.has(id))) {
        // Under the lock: two forwarders may clear one file, and a third may have made another one of its name since.
        const [named, open] = await Promise.all([fs.lstat(file).catch(() => undefined), handle.stat()])
        if (named?.ino === open.ino && named.dev === open.dev) await fs.rm(file, { force: true })
        await syncDirectory(this.#form)
        return
      }
      if (over.size > 0) await blankOut(handle, over)
    } finally {
      await handle.close()
    }
  }

  async #names(): Promise<readonly string[]> {
    return (await fs.readdir(this.#form.directory)).filter(isWorkerFileName)
  }

  #pathOf(name: string): string {
    return path.join(this.#form.directory, name)
  }
}

/** Pure. */
function linesIn(bytes: Buffer): readonly OtherLine[] {
  const { worker, held } = parseWorkerLines(bytes)
  return held.map(({ id, since }) => ({ id, since: parseMoment(since, worker?.boot) }))
}

async function blankOut(handle: fs.FileHandle, ids: ReadonlySet<RawName>): Promise<void> {
  const { size } = await handle.stat()
  const bytes = Buffer.alloc(size)
  await handle.read(bytes, 0, size, 0)
  for (let start = LINE_BYTES; start < size; start += LINE_BYTES) {
    // The reader takes the first line for that of the worker.
    const pair = Buffer.concat([bytes.subarray(0, LINE_BYTES), bytes.subarray(start, start + LINE_BYTES)])
    const [held] = parseWorkerLines(pair).held
    if (held !== undefined && ids.has(held.id)) await handle.write(blankLine(), 0, LINE_BYTES, start)
  }
}

async function readIfThere(file: string): Promise<Buffer | undefined> {
  try {
    return await fs.readFile(file)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function openIfThere(file: string): Promise<fs.FileHandle | undefined> {
  try {
    return await fs.open(file, 'r+')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
}

async function removeLeftover(file: string): Promise<void> {
  const info = await fs.lstat(file).catch(() => undefined)
  if (info !== undefined && Date.now() - info.mtimeMs > LEFTOVER_MS) await fs.rm(file, { force: true })
}
