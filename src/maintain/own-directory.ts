/**
 * A directory in claimed/ of this process, for moves through it: in a queue with claims by renaming, a file in it is claimed by this process
 * alone. If this process dies, the next worker puts the file back in queue/.
 *
 * @module
 */
import type { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs/promises'
import os from 'node:os'

import { BESIDE } from '../directory/calls.js'
import { WORKER_LOCK, hostInNames, workerPath } from '../directory/claimed.js'
import type { Layout } from '../directory/layout.js'
import { FsqError } from '../errors/classes.js'
import { codeOf } from '../errors/errno.js'
import { lockError } from '../lock/failure.js'
import { lockRequest } from '../lock/request.js'
import { type RawName, bytePath } from '../name/charset.js'
import { makeDirectory, makeWorkerLock } from './queue-files.js'

const RANDOM_BYTES = 8
/** Another worker can lock a new `.lock` before this process does, and take this process for dead. */
const MOST_NAMES = 16

const { EAGAIN } = os.constants.errno

export class OwnDirectory {
  readonly path: string
  readonly #lock: fs.FileHandle

  private constructor(path: string, lock: fs.FileHandle) {
    this.path = path
    this.#lock = lock
  }

  /** @throws As `node:fs`, or as `fsq/lock`. */
  static async make(layout: Layout): Promise<OwnDirectory> {
    const like = await fs.stat(layout.path)
    await makeDirectory(layout.claimedPath, like)
    for (let made = 0; made < MOST_NAMES; made++) {
      const name = `${hostInNames(os.hostname())}-${process.pid}-${randomBytes(RANDOM_BYTES).toString('hex')}`
      const path = workerPath(layout, name)
      await makeDirectory(path, like)
      const lock = await makeWorkerLock(path, like)
      if (await isLocked(path, lock)) return new OwnDirectory(path, lock)
      await lock.close()
    }
    throw new FsqError(`Cannot make a directory in ${layout.claimedPath}: other workers remove it each time`)
  }

  /** The path of a file in it. */
  of(raw: RawName): Buffer {
    return bytePath(this.path, raw)
  }

  /** Removes it, unless a file has been left in it. */
  async close(): Promise<void> {
    try {
      await fs.unlink(`${this.path}/${WORKER_LOCK}`)
      await fs.rmdir(this.path)
    } catch (error) {
      // The next worker takes the directory over, with the files in it.
      if (!['ENOENT', 'ENOTEMPTY'].includes(codeOf(error) ?? '')) throw error
    } finally {
      await this.#lock.close()
    }
  }
}

async function isLocked(directory: string, lock: fs.FileHandle): Promise<boolean> {
  const request = lockRequest('OwnDirectory.make', lock.fd, { kind: 'fcntl' })
  const errno = await BESIDE.lock(lock.fd, 'fcntl', false)
  if (errno === -EAGAIN) return false
  if (errno !== 0) {
    await lock.close()
    throw lockError(request, errno, 'lock')
  }
  try {
    const [own, named] = await Promise.all([lock.stat(), fs.lstat(`${directory}/${WORKER_LOCK}`)])
    return own.ino === named.ino && own.dev === named.dev
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false
    throw error
  }
}
