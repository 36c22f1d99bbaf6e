/**
 * How two processes that probe one directory find each other.
 *
 * @module
 */
import { randomBytes } from 'node:crypto'
import fs from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import { PeerError } from '../../errors/classes.js'
import { codeOf } from '../../errors/errno.js'
import { Session, makeDirectory, makeFile, waits } from './session.js'

/** The directory, below the probed one, through which the processes play. */
export const MEETING_PLACE = '.fsq-peer'
// The number is that of the messages between the two: processes of other versions do not meet.
const HELLO = 'hello1'
const MOST_ATTEMPTS = 10
// No session takes as long.
const LEFTOVER_MS = 600_000

/** The process on the other machine. */
export interface Peer {
  /** The name of its machine. */
  readonly host: string
  readonly pid: number
}

interface Announced extends Peer {
  readonly id: string
}

/** Meets another process, and plays with it in a session. */
export class Meeting {
  readonly #place: string
  readonly #signal: AbortSignal
  // Of this call alone: what a killed process has left answers to no new one.
  readonly #id = randomBytes(8).toString('hex')
  readonly #hello = [
    HELLO,
    this.#id,
    os
      .hostname()
      .replace(/[^A-Za-z0-9.-]/g, '-')
      .slice(0, 64),
    process.pid,
  ].join('_')
  readonly #made: string[] = []
  #session: Session | undefined

  constructor(directory: string, signal: AbortSignal) {
    this.#place = path.join(directory, MEETING_PLACE)
    this.#signal = signal
  }

  /**
   * Waits for the other process.
   *
   * @param patience - Milliseconds.
   * @param onWait - Called if the other process is not there yet.
   * @throws {@link PeerError} if no process comes.
   */
  async meet(patience: number, onWait: () => void): Promise<readonly [Peer, Session]> {
    await this.#announce()
    const end = Date.now() + patience
    let partner: Announced | undefined
    let isWaiting = false
    for (const wait of waits()) {
      const names = await fs.readdir(this.#place)
      const others = names.flatMap((name) => announcedBy(name) ?? []).filter(({ id }) => id !== this.#id)
      for (const { id } of others) await this.#note('sees', id)
      // A process that sees this one lives. One that was killed may have left its own name only.
      partner ??= others.find(({ id }) => names.includes(['sees', id, this.#id].join('_')))
      if (partner !== undefined) {
        await this.#note('takes', partner.id)
        const [, , taken] =
          names.find((name) => name.startsWith(`takes_${partner?.id ?? ''}_`))?.split('_') ?? []
        if (taken === this.#id) {
          const { host, pid } = partner
          return [{ host, pid }, this.#begin(partner)]
        }
        if (taken !== undefined) throw busy(partner)
      } else if (!isWaiting) {
        isWaiting = true
        onWait()
      }
      if (Date.now() > end) break
      await later(wait, undefined, { signal: this.#signal })
    }
    throw nobodyCame(this.#place, patience)
  }

  /** Removes all that this process has made, and what killed processes have left. */
  async leave(isOver: boolean): Promise<void> {
    await this.#session?.leave(isOver)
    await this.#sweep()
    for (const name of this.#made) await fs.unlink(path.join(this.#place, name)).catch(() => undefined)
    // Fails while another process is in it.
    await fs.rmdir(this.#place).catch(() => undefined)
  }

  async #announce(): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      await makeDirectory(this.#place)
      try {
        await makeFile(path.join(this.#place, this.#hello))
        this.#made.push(this.#hello)
        return
      } catch (error) {
        // Another process has just left, and has removed the directory.
        if (codeOf(error) !== 'ENOENT' || attempt === MOST_ATTEMPTS) throw error
      }
    }
  }

  async #note(word: string, id: string): Promise<void> {
    const name = [word, this.#id, id].join('_')
    if (this.#made.includes(name)) return
    this.#made.push(name)
    await makeFile(path.join(this.#place, name))
  }

  #begin({ id }: Announced): Session {
    const isFirst = this.#id < id
    const name = isFirst ? `${this.#id}-${id}` : `${id}-${this.#id}`
    this.#session = new Session(path.join(this.#place, name), isFirst ? 'a' : 'b', this.#signal)
    return this.#session
  }

  async #sweep(): Promise<void> {
    try {
      const { mtimeMs: now } = await fs.stat(path.join(this.#place, this.#hello))
      for (const name of await fs.readdir(this.#place)) {
        const file = path.join(this.#place, name)
        const { mtimeMs } = await fs.lstat(file)
        if (now - mtimeMs > LEFTOVER_MS) await fs.rm(file, { recursive: true, force: true })
      }
    } catch {
      // Another process sweeps, too.
    }
  }
}

function announcedBy(name: string): Announced | undefined {
  const [word, id, host, pid] = name.split('_')
  if (word !== HELLO || id === undefined || host === undefined) return undefined
  return { id, host, pid: Number(pid) }
}

function nobodyCame(place: string, patience: number): PeerError {
  return new PeerError(`No other process has come to ${place} within ${patience / 1000} s`, {
    advice:
      'Start it on both machines within that time. If you did, the two directories are not the same, or a mount shows new files late: ' +
      'compare the servers and exports in the outputs of findmnt -T',
  })
}

function busy({ host, pid }: Peer): PeerError {
  return new PeerError(`The process ${pid} on ${host} plays with a third one`, {
    advice: 'Let two processes at a time probe a directory',
  })
}
