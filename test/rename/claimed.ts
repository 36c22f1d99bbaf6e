/** The files of a queue whose claims are renames, as tests look at them. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import type { InstallOptions } from '../../src/directory/install.js'
import type { Queue, QueueOptions } from '../../src/queue.js'
import { Child } from '../support/child.js'
import type { TestBed } from '../support/queue.js'

/** Installs a queue whose claims are renames. */
export async function installRename(
  bed: TestBed,
  options: QueueOptions & InstallOptions = {},
): Promise<Queue> {
  return bed.install({ claims: 'rename', ...options })
}

/** The directories of workers. */
export function workerNames({ path: queue }: { readonly path: string }): string[] {
  const claimed = path.join(queue, 'claimed')
  return fs.existsSync(claimed) ? fs.readdirSync(claimed).sort() : []
}

/** The files in the directory of a worker that are no items. */
export const WORKER_FILES: readonly string[] = ['.lock', '.owned']

/** The names of all claimed items. */
export function claimedNames(queue: { readonly path: string }): string[] {
  return workerNames(queue)
    .flatMap((worker) => fs.readdirSync(path.join(queue.path, 'claimed', worker), { encoding: 'latin1' }))
    .filter((name) => !WORKER_FILES.includes(name))
    .sort()
}

/** The contents of the files in a directory of the queue, by their names. */
export function textsIn(queue: Queue, directory: 'queue' | 'done' | 'fail'): Record<string, string> {
  const where = queue.paths[directory]
  return Object.fromEntries(
    fs
      .readdirSync(where)
      .sort()
      .map((name) => [name, fs.readFileSync(path.join(where, name), 'utf8')]),
  )
}

/** The files below the queue that this process has open. */
export function openFiles({ path: queue }: { readonly path: string }): string[] {
  return fs
    .readdirSync('/proc/self/fd')
    .flatMap((descriptor) => {
      try {
        return [fs.readlinkSync(`/proc/self/fd/${descriptor}`)]
      } catch {
        return []
      }
    })
    .filter((target) => target.startsWith(`${queue}/`))
    .map((target) => path.relative(queue, target))
    .filter((target) => fs.statSync(path.join(queue, target.replace(/ \(deleted\)$/, ''))).isFile())
}

const EINVAL = os.constants.errno.EINVAL

/** Faults: no rename can be exclusive, as on NFS. */
export const BY_LINK = `claim.exclusive=errno:${EINVAL};finish.rename=errno:${EINVAL}`

export type Answer = Readonly<Record<string, unknown>>

/** A worker in a process of its own: test/programs/shared-worker.mjs. */
export class SharedWorker {
  readonly child: Child

  constructor(root: string, faults = '', options: QueueOptions = {}) {
    this.child = new Child('shared-worker.mjs', { root, options }, { faults })
  }

  async ask(command: string, given: object = {}): Promise<Answer> {
    const from = this.child.lines.length
    this.child.tell({ command, ...given })
    for (let at = from; ;) {
      const line = await this.child.says('answer', at)
      if (line['to'] === command) return line['answer'] as Answer
      at = this.child.lines.indexOf(line) + 1
    }
  }

  /** The id of the item that it claims. */
  async claim(): Promise<string> {
    const { id, error } = await this.ask('claim')
    if (typeof id !== 'string') throw new Error(`no item: ${JSON.stringify(error)}`)
    return id
  }

  async finish(id: string, action: string, options: object = {}): Promise<Answer> {
    return this.ask('finish', { id, action, options })
  }

  async kill(): Promise<void> {
    this.child.kill()
    await this.child.ended
  }
}
