// The worker processes.
import { fork } from 'node:child_process'
import { readFile, readdir, readlink } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { CannotRunError, OffError } from './endings.mjs'
import { now } from './records.mjs'

const WORKER = fileURLToPath(new URL('worker.mjs', import.meta.url))

export class Crew {
  #work
  #members = []
  #failure
  #dismissed = false

  /** @param work - The folder of this run of the demo. */
  constructor(work) {
    this.#work = work
  }

  /** Starts one more worker. */
  hire() {
    if (this.#dismissed) throw new Error('The crew has been dismissed')
    const number = this.#members.length + 1
    // In a session of its own, so that Ctrl-C reaches only the demo, which then ends its workers.
    const child = fork(WORKER, [this.#work, String(number)], {
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const member = { number, child, pid: child.pid, running: true, killed: false, ended: undefined }
    member.ended = new Promise((resolve) => {
      const end = (failure) => {
        member.running = false
        if (failure !== undefined && !member.killed) this.#failure ??= failure
        resolve()
      }
      child.once('error', end)
      child.once('exit', (code, signal) =>
        end(failureOf(`Worker ${number} (process ${child.pid})`, code, signal)),
      )
    })
    this.#members.push(member)
    return member
  }

  /**
   * Whether any worker is running.
   *
   * @throws {OffError|CannotRunError} if a worker has crashed.
   */
  isWorking() {
    if (this.#failure !== undefined) throw this.#failure
    return this.#members.some(({ running }) => running)
  }

  /** The worker that hangs in the middle of its work, if there is one yet. */
  async stalled() {
    const pid = await readFile(path.join(this.#work, 'stalled'), 'utf8').catch(() => '')
    return this.#members.find((member) => pid === `${member.pid}\n`)
  }

  /**
   * Kills a worker with SIGKILL, which a process cannot catch.
   *
   * @returns Which worker it was, when, and the names of the items that it held.
   */
  async kill(member, queueFolder) {
    const held = await lockedFiles(member.pid, queueFolder)
    member.killed = true
    const at = now()
    member.child.kill('SIGKILL')
    await member.ended
    return { number: member.number, pid: member.pid, at, held }
  }

  /** Kills all running workers, and waits until they have ended. */
  async dismiss() {
    this.#dismissed = true
    for (const member of this.#members) {
      member.killed = true
      member.child.kill('SIGKILL')
    }
    await Promise.all(this.#members.map(({ ended }) => ended))
  }
}

function failureOf(who, code, signal) {
  if (code === 0) return undefined
  if (code === 111) return new CannotRunError(`${who} could not go on`)
  return new OffError(`${who} ended before its time: ${signal ?? `exit code ${code}`}`)
}

/**
 * The names of the files in a folder on which a process holds locks; a worker has other items open, too, to notice when they are free.
 * Only Linux reports them; elsewhere the result is empty.
 */
async function lockedFiles(pid, folder) {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => [])
  const targets = await Promise.all(
    descriptors.map(async (descriptor) => {
      const info = await readFile(`/proc/${pid}/fdinfo/${descriptor}`, 'utf8').catch(() => '')
      return info.includes('\nlock:') ? readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '') : ''
    }),
  )
  return targets.filter((target) => path.dirname(target) === folder).map((target) => path.basename(target))
}
