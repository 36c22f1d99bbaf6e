/**
 * How a scan stops before its pass has ended: by signals, and by errors.
 *
 *     runs ── a signal, an error, a program that cannot be run ──> closing ── another signal: passed on to the programs ──> aborted
 *
 * @module
 */
import type { ChildProcess } from 'node:child_process'
import process from 'node:process'

import { say } from './output.js'

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/** Whether this signal stops a scan. */
export function isStopping(signal: NodeJS.Signals): boolean {
  return SIGNALS.some((stopping) => stopping === signal)
}

/** The stop of one scan, or of those of several hosts. */
export class ScanStop {
  /** As the pool sees it. `aborted`: a second signal has been passed on to the programs. */
  readonly closing = { begun: false, aborted: false }
  /** The programs that run. */
  readonly children = new Set<ChildProcess>()
  readonly #abort = new AbortController()
  readonly #onStop: (() => void)[] = []
  readonly #listeners = SIGNALS.map((signal) => [signal, () => this.#interrupt(signal)] as const)
  #isInterrupted = false
  #hasFailed = false

  /** Calls back when no more programs are to begin, at once if that is so. */
  onStop(callback: () => void): void {
    if (this.closing.begun) callback()
    else this.#onStop.push(callback)
  }

  /** Aborted when no more programs are to begin. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** A method, as its answer changes while the caller awaits. */
  isStopped(): boolean {
    return this.#abort.signal.aborted
  }

  /** Whether a signal has stopped the scan. A method, as {@link isStopped}. */
  isInterrupted(): boolean {
    return this.#isInterrupted
  }

  /** Whether the scan has not done what it was asked for. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** Says that something was not done. The scan goes on. */
  tell(message: string): void {
    this.#hasFailed = true
    say(message)
  }

  /** Says that something was not done, and stops. */
  fail(message: string): void {
    this.tell(message)
    this.stop()
  }

  stop(): void {
    if (this.closing.begun) return
    this.closing.begun = true
    this.#abort.abort()
    for (const callback of this.#onStop) callback()
  }

  listen(): void {
    for (const [signal, listener] of this.#listeners) process.on(signal, listener)
  }

  stopListening(): void {
    for (const [signal, listener] of this.#listeners) process.off(signal, listener)
  }

  #interrupt(signal: NodeJS.Signals): void {
    if (this.#isInterrupted) {
      this.closing.aborted = true
      for (const child of this.children) child.kill(signal)
      return
    }
    this.#isInterrupted = true
    this.stop()
    const { size } = this.children
    if (size > 0)
      say(
        `${signal}: the scan stops when what runs has ended (${size} running); a second one is passed on to it`,
      )
  }
}
