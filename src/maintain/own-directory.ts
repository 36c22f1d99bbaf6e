/**
 * A directory in claimed/ of this process, for moves through it: in a queue with claims by renaming, a file in it is claimed by this process
 * alone. If this process dies, the next worker puts the file back in queue/.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import fs from 'node:fs/promises'
import os from 'node:os'

import { WORKER_LOCK, hostInNames, workerPath } from '../directory/claimed.js'
import type { Layout } from '../directory/layout.js'
import { codeOf } from '../errors/errno.js'
import { lockError } from '../lock/failure.js'
import { lockDescriptor, lockRequest } from '../lock/request.js'
import type { RawName } from '../name/charset.js'
import { makeDirectory, makeWorkerLock } from './queue-files.js'

const RANDOM_BYTES = 8
const BLANK_LINE = `${' '.repeat(511)}\n`

export class OwnDirectory {
  readonly path: string
  readonly #lock: fs.FileHandle

  private constructor(path: string, lock: fs.FileHandle) {
    this.path = path
    this.#lock = lock
  }

  /** @throws As `node:fs`, or as `fsq/lock`. */
  static async make(layout: Layout): Promise<OwnDirectory> {
    const name = `${hostInNames(os.hostname())}-${process.pid}-${randomBytes(RANDOM_BYTES).toString('hex')}`
    const path = workerPath(layout, name)
    const like = await fs.stat(layout.path)
    await makeDirectory(layout.claimedPath, like)
    await makeDirectory(path, like)
    const lock = await makeWorkerLock(path, like)
    const request = lockRequest('OwnDirectory.make', lock.fd, { kind: 'fcntl' })
    const errno = lockDescriptor(request, false)
    if (errno !== 0) {
      await lock.close()
      throw lockError(request, errno, 'lock')
    }
    await lock.writeFile(BLANK_LINE)
    return new OwnDirectory(path, lock)
  }

  /** The path of a file in it. */
  of(raw: RawName): Buffer {
    return Buffer.concat([Buffer.from(`${this.path}/`), Buffer.from(raw, 'latin1')])
  }

  /** Removes it, unless a file has been left in it. */
  async close(): Promise<void> {
    try {
      await fs.unlink(`${this.path}/${WORKER_LOCK}`)
      await fs.rmdir(this.path)
    } catch (error) {
      // Without its `.lock`, no worker would take it over.
      if (codeOf(error) === 'ENOTEMPTY') await fs.writeFile(`${this.path}/${WORKER_LOCK}`, BLANK_LINE)
      else if (codeOf(error) !== 'ENOENT') throw error
    } finally {
      await this.#lock.close()
    }
  }
}
