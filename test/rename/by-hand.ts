/** Workers of queues with claims by renaming, made by hand: their directories in claimed/, and the lock that says that they live. */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { afterEach } from '@jest/globals'

import { tryLockSync } from '../../src/lock.js'
import { LINE_BYTES, WorkerLines } from '../../src/meta/worker-lines.js'
import type { Queue } from '../../src/queue.js'
import { noCounts } from '../../src/work/journal.js'

interface WorkerParts {
  /** Default: this host. */
  readonly host?: string
  readonly pid?: number
  /** The 16 hexadecimal digits at the end of its name. */
  readonly random?: string
  /** What it writes into `.lock`. `blank`: as a loop. Default: the lines of a worker. */
  readonly writes?: 'lines' | 'blank'
  /** Default: true. */
  readonly alive?: boolean
}

const descriptors: number[] = []

afterEach(() => {
  for (const descriptor of descriptors.splice(0)) fs.closeSync(descriptor)
})

/** A worker with a directory in claimed/. */
export class HandWorker {
  readonly name: string
  readonly path: string
  readonly #queue: Queue
  readonly #lines = new WorkerLines(4)
  readonly #writes: boolean

  constructor(queue: Queue, parts: WorkerParts = {}) {
    const {
      host = os.hostname(),
      pid = 4242,
      random = '00000000000000aa',
      writes = 'lines',
      alive = true,
    } = parts
    this.#queue = queue
    this.#writes = writes === 'lines'
    this.name = `${host}-${pid}-${random}`
    this.path = path.join(queue.path, 'claimed', this.name)
    const { mode } = fs.statSync(queue.path)
    fs.mkdirSync(this.path)
    fs.chmodSync(this.path, mode & 0o7777)
    fs.writeFileSync(this.lock, `${' '.repeat(LINE_BYTES - 1)}\n`)
    if (this.#writes) {
      this.#lines.worker = {
        version: 1,
        pid,
        host,
        started: new Date(0).toISOString(),
        concurrency: 3,
        state: 'running',
        counters: noCounts(),
      }
      this.#write()
    }
    if (!alive) return
    const descriptor = fs.openSync(this.lock, 'r+')
    descriptors.push(descriptor)
    if (tryLockSync(descriptor, { kind: 'fcntl' }) === undefined) throw new Error('locked by another')
  }

  get lock(): string {
    return path.join(this.path, '.lock')
  }

  /** Claims an item of queue/. @returns Its path. */
  claim(id: string): string {
    const claimed = path.join(this.path, id)
    fs.renameSync(path.join(this.#queue.paths.queue, id), claimed)
    this.#lines.hold({ id: Buffer.from(id).toString('latin1'), since: new Date(0).toISOString() })
    if (this.#writes) this.#write()
    return claimed
  }

  /** Moves an item that it has claimed. */
  move(id: string, directory: 'queue' | 'done' | 'fail', to = id): void {
    fs.renameSync(path.join(this.path, id), path.join(this.#queue.paths[directory], to))
  }

  #write(): void {
    fs.writeFileSync(this.lock, this.#lines.bytes)
  }
}
