/**
 * What `fsq forward` and `fsq receive` have in common: they run until a signal, show on a terminal how far they have come, and print numbers.
 *
 *     runs ── SIGTERM, SIGINT, SIGHUP ──> closes: what is in flight may end ── another signal ──> killed by it
 *
 * @module
 */
import process from 'node:process'

import { FsqError } from '../errors/classes.js'
import { explain } from './advice.js'
import { say, write } from './output.js'
import { Progress } from './progress.js'

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
const SHOW_MS = 250

/** What runs, as this module sees it. */
export interface Running {
  /** For one line of `--json`. */
  readonly numbers: () => object
  /** How many items have come over, for a terminal. */
  readonly count: () => number
  /** Claims nothing more, and resolves when nothing is in flight. */
  readonly close: () => Promise<unknown>
}

/** How it is shown. */
export interface HandOverOptions {
  /** What is counted on a terminal, as 'items forwarded'. */
  readonly doing: string
  /** Milliseconds from one line of numbers to the next; `undefined`: none is printed. */
  readonly interval: number | undefined
}

/** One run of such a command. */
export class HandOver {
  readonly #options: HandOverOptions
  readonly #progress: Progress
  readonly #stop: Promise<NodeJS.Signals>
  #end: (signal: NodeJS.Signals) => void = () => undefined
  #hasFailed = false

  constructor(options: HandOverOptions) {
    this.#options = options
    this.#progress = new Progress(options.doing)
    this.#stop = new Promise((resolve) => (this.#end = resolve))
    for (const signal of SIGNALS) process.once(signal, this.#end)
  }

  /** Whether {@link tell} has told of something that was not done. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** Says something that the numbers do not say. */
  note(message: string): void {
    this.#progress.clear()
    say(message)
  }

  /** Says that something was not done. The run goes on. */
  tell(message: string): void {
    this.#hasFailed = true
    this.note(message)
  }

  /**
   * Shows numbers until a signal comes or all is done, and closes.
   *
   * @param done - Resolves when nothing is left to do. Default: never.
   * @returns The signal; `undefined`: all is done.
   */
  async run({ numbers, count, close }: Running, done?: Promise<void>): Promise<NodeJS.Signals | undefined> {
    const { interval } = this.#options
    const print = (): void => write(`${JSON.stringify({ ...numbers(), ...connection })}\n`)
    let connection: object = {}
    let onBroken: (error: unknown) => void = () => undefined
    const broken = new Promise<never>((_, reject) => (onBroken = reject))
    const timers = [setInterval(() => this.#progress.show(count()), SHOW_MS)]
    if (interval !== undefined)
      timers.push(
        setInterval(() => {
          try {
            print()
          } catch (error) {
            onBroken(error)
          }
        }, interval),
      )
    let signal: NodeJS.Signals | undefined
    try {
      const ends = done === undefined ? [] : [done.then(() => undefined)]
      signal = await Promise.race([this.#stop, broken, ...ends])
    } finally {
      for (const timer of timers) clearInterval(timer)
      this.#progress.clear()
      // The close ends the connection, which is no news.
      connection = connectionOf(numbers())
      await close()
      for (const signal of SIGNALS) process.off(signal, this.#end)
    }
    if (interval !== undefined) print()
    return signal
  }
}

function connectionOf(numbers: object): object {
  return 'connected' in numbers ? { connected: numbers.connected } : {}
}

/** The message of an error of an engine, without its stack. */
export function reasonOf(error: unknown): string {
  return error instanceof Error && !(error instanceof FsqError) ? error.message : explain(error)
}
