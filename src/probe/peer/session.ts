/**
 * Two processes that play with each other through files. A message is the name of an empty file: no cache can keep its contents, and
 * only a listing finds it, which asks the server on the file systems that were tried.
 *
 * @module
 */
import fs from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import { removeLeftover } from '../../directory/files.js'
import { PeerError } from '../../errors/classes.js'
import { codeOf } from '../../errors/errno.js'

/** The process that leads the trials, and the one that follows. */
export type Side = 'a' | 'b'

/** How long one trial may take, and how long a process waits for the other. */
export const PATIENCE_MS = 10_000
const FIRST_WAIT_MS = 2
const LONGEST_WAIT_MS = 20
const WAIT_GROWTH = 1.5
const FAREWELL_MS = 1_000
// The other process may be slow to see the last message.
const LAST_FAREWELL_MS = 5_000

/** The waits between looks for something that another process does. */
export function* waits(): Generator<number, never> {
  for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * WAIT_GROWTH, LONGEST_WAIT_MS)) yield wait
}

/** Makes an empty file, which must not exist. */
export async function makeFile(file: string): Promise<void> {
  await fs.writeFile(file, '', { flag: 'wx' })
}

/** Makes a directory, unless the other process has made it. */
export async function makeDirectory(directory: string): Promise<void> {
  await fs.mkdir(directory).catch((error: unknown) => {
    if (codeOf(error) !== 'EEXIST') throw error
  })
}

/** The session of one process with another. */
export class Session {
  readonly side: Side
  readonly other: Side
  /** Ends the session. */
  readonly signal: AbortSignal
  readonly #directory: string
  readonly #mail: string
  #said = 0
  #heard = 0
  /** When the file system has last answered. */
  #answered = Date.now()

  constructor(directory: string, side: Side, signal: AbortSignal) {
    this.#directory = directory
    this.#mail = this.path('mail')
    this.side = side
    this.other = side === 'a' ? 'b' : 'a'
    this.signal = signal
  }

  /** A path in the directory of the session. */
  path(...parts: readonly string[]): string {
    return path.join(this.#directory, ...parts)
  }

  /** Makes the directories of the session that both processes use. */
  async begin(...directories: readonly string[]): Promise<void> {
    await makeDirectory(this.#directory)
    for (const directory of ['mail', ...directories]) await makeDirectory(this.path(directory))
  }

  /** Sends a message: a word, and values without `_` and `/`. */
  async say(word: string, ...values: readonly (string | number)[]): Promise<void> {
    await makeFile(path.join(this.#mail, [`${this.side}${this.#said++}`, word, ...values].join('_')))
  }

  /**
   * Waits for the next message of the other process.
   *
   * @param words - Those that it can begin with.
   * @returns The word, and the values.
   * @throws {@link PeerError} if the other process has ended, the reason of the signal.
   */
  async hear(...words: readonly string[]): Promise<readonly [word: string, ...values: string[]]> {
    const beginning = `${this.other}${this.#heard++}_`
    for (const wait of waits()) {
      const names = await this.#list()
      const [, word = '', ...values] = names?.find((name) => name.startsWith(beginning))?.split('_') ?? []
      if (words.includes(word)) return [word, ...values]
      if (word !== '') throw new PeerError(`The other process does something else (${word})`, SAME_VERSION)
      if (names?.includes(this.#farewellOf(this.other)) ?? true) throw otherEnded()
      await later(wait, undefined, { signal: this.signal })
    }
    throw new Error('unreachable')
  }

  /** Waits until `attempt` returns a value, as long as the session lasts. */
  async until<Value>(attempt: () => Promise<Value | undefined>): Promise<Value> {
    for (const wait of waits()) {
      const value = await attempt()
      this.#answered = Date.now()
      if (value !== undefined) return value
      await later(wait, undefined, { signal: this.signal })
    }
    throw new Error('unreachable')
  }

  /** How many milliseconds ago the file system has answered. */
  get silence(): number {
    return Date.now() - this.#answered
  }

  /**
   * Ends the session, and removes its directory.
   *
   * @param isOver - All messages were sent.
   */
  async leave(isOver: boolean): Promise<void> {
    const patience = isOver ? LAST_FAREWELL_MS : FAREWELL_MS
    await makeFile(path.join(this.#mail, this.#farewellOf(this.side))).catch(() => undefined)
    await this.#seen(patience, (names) => names.includes(this.#farewellOf(this.other)))
    // Two processes that remove one directory at a time hinder each other.
    if (this.side === 'b') await this.#seen(FAREWELL_MS, () => false)
    await removeLeftover(this.#directory, 'in which two machines were compared')
  }

  /** Waits until the messages are as wanted, or their directory is gone. */
  async #seen(patience: number, isWanted: (names: readonly string[]) => boolean): Promise<void> {
    const end = Date.now() + patience
    for (const wait of waits()) {
      const names = await this.#list()
      if (names === undefined || isWanted(names) || Date.now() > end) return
      await later(wait)
    }
  }

  /** The messages; `undefined`: the other process has removed their directory. */
  async #list(): Promise<readonly string[] | undefined> {
    try {
      return await fs.readdir(this.#mail)
    } catch (error) {
      if (codeOf(error) === 'ENOENT' || codeOf(error) === 'ESTALE') return undefined
      throw error
    } finally {
      this.#answered = Date.now()
    }
  }

  #farewellOf(side: Side): string {
    return `${side}-ended`
  }
}

const SAME_VERSION = { advice: 'Run the same version of fsq on both machines' }

/** The error of a trial whose other process has ended. */
export function otherEnded(): PeerError {
  return new PeerError('The other process ended before the trial was over', {
    advice: 'Its output says why. Run both again',
  })
}
