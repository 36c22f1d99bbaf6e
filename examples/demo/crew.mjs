// The worker processes.
import { fork } from 'node:child_process'
import { readFile, readdir, readlink } from 'node:fs/promises'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { CannotRunError, OffError } from './endings.mjs'
import { keyOf, now, readRuns, triesOf } from './records.mjs'

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

  /**
   * The worker that hangs in the middle of its work, and the names of the items that it holds. `undefined`: there is none yet, or another
   * thread of it still moves an item that it has finished.
   */
  async stalled(queueFolder) {
    const pid = await readFile(path.join(this.#work, 'stalled'), 'utf8').catch(() => '')
    const member = this.#members.find((candidate) => pid === `${candidate.pid}\n`)
    if (member === undefined) return undefined
    const held = await openFiles(member.pid, queueFolder)
    const runs = await readRuns(path.join(this.#work, 'logs'))
    // Each try that has failed is in the name, so one more end than tries is an item on its way to its next place.
    const isFinished = (name) =>
      (runs.get(keyOf(name)) ?? []).filter(({ end }) => end !== undefined).length > triesOf(name)
    return held.some(isFinished) ? undefined : { member, held }
  }

  /**
   * Kills a worker with SIGKILL, which a process cannot catch.
   *
   * @returns Which worker it was, when, and the names of the items that it held.
   */
  async kill({ member, held }) {
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
 * The names of the files in a folder that a process has open. Only Linux reports them; elsewhere the result is empty.
 */
async function openFiles(pid, folder) {
  const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => [])
  const targets = await Promise.all(
    descriptors.map((descriptor) => readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '')),
  )
  return targets.filter((target) => path.dirname(target) === folder).map((target) => path.basename(target))
}
