/**
 * Owns the terminal: the alternate screen, raw keys, its size. Gives it back on every way out: a return, an error, a signal, a
 * stop by Ctrl-Z, and the end of the process.
 *
 *     closed ── open() ──> open ── close(), SIGTERM, SIGINT, SIGHUP, exit ──> closed
 *                           │  ^
 *                   SIGTSTP │  │ continued
 *                           v  │
 *                          closed, and the process stops
 *
 * @module
 */
import process from 'node:process'
import readline from 'node:readline'
import { setImmediate } from 'node:timers'
import { styleText } from 'node:util'

import { OutputError, write } from '../output.js'
import { isColoured } from '../table.js'
import type { Paint, Size } from './view.js'

// The alternate screen, no cursor, and lines that are cut at the edge instead of wrapped: a terminal may find a character wider.
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l\u001b[H\u001b[2J'
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l'
const CLEAR_LINE = '\u001b[2K'
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const USUAL: Size = { width: 80, height: 24 }
const LEAST: Size = { width: 20, height: 4 }

/** A key, by the name that `node:readline` gives it. */
export interface Key {
  readonly name: string
  readonly ctrl: boolean
}

/** Receives what happens at the terminal. */
export interface ScreenEvents {
  readonly onKey: (key: Key) => void
  /** The screen has to be drawn again. */
  readonly onRedraw: () => void
}

/** Adds escape sequences unless the user has declined colours. */
export function painter(): Paint {
  if (!isColoured()) return (_style, text) => text
  return (style, text) => styleText(style, text, { validateStream: false })
}

export class Screen {
  readonly #events: ScreenEvents
  #isOpen = false
  /** The lines on the screen; only those that change are written. */
  #shown: readonly string[] = []
  readonly #onKeypress = (text: string | undefined, key: { name?: string; ctrl?: boolean }): void => {
    const { name = text ?? '', ctrl = false } = key
    if (ctrl && name === 'z') this.#stop()
    else this.#events.onKey({ name: name === 'return' ? 'enter' : text === '?' ? '?' : name, ctrl })
  }
  readonly #onResize = (): void => {
    this.#redraw()
  }
  readonly #onStop = (): void => {
    this.#stop()
  }
  readonly #onContinue = (): void => {
    // A shell has changed the mode of the terminal meanwhile.
    this.#enter()
    this.#redraw()
  }
  readonly #onExit = (): void => {
    this.close()
  }
  readonly #onEnd = (signal: NodeJS.Signals): void => {
    this.close()
    // Without a listener the signal ends the process, and its parent sees by which signal.
    process.kill(process.pid, signal)
  }

  constructor(events: ScreenEvents) {
    this.#events = events
  }

  get size(): Size {
    const { columns, rows } = process.stdout
    // A terminal may not know its size.
    if (columns === 0 || rows === 0) return USUAL
    return { width: Math.max(columns, LEAST.width), height: Math.max(rows, LEAST.height) }
  }

  /** @throws {@link OutputError} */
  open(): void {
    process.once('exit', this.#onExit)
    for (const signal of ENDING) process.once(signal, this.#onEnd)
    process.on('SIGTSTP', this.#onStop)
    process.on('SIGCONT', this.#onContinue)
    process.stdout.on('resize', this.#onResize)
    readline.emitKeypressEvents(process.stdin)
    process.stdin.on('keypress', this.#onKeypress)
    // A terminal that is closed; its SIGHUP ends this process.
    process.stdin.on('error', () => undefined)
    this.#enter()
  }

  /** Writes the lines that have changed. @throws {@link OutputError} */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return
    let text = ''
    for (let row = 0; row < Math.max(lines.length, this.#shown.length); row++) {
      const line = lines[row] ?? ''
      if (line !== this.#shown[row]) text += `\u001b[${row + 1};1H${CLEAR_LINE}${line}`
    }
    this.#shown = lines
    if (text !== '') write(text)
  }

  /** Gives the terminal back. Harmless if that has happened. Never throws. */
  close(): void {
    process.off('exit', this.#onExit)
    for (const signal of ENDING) process.off(signal, this.#onEnd)
    process.off('SIGTSTP', this.#onStop)
    process.off('SIGCONT', this.#onContinue)
    process.stdout.off('resize', this.#onResize)
    process.stdin.off('keypress', this.#onKeypress)
    this.#leave()
    // Otherwise the terminal would keep this process alive.
    process.stdin.pause()
  }

  #enter(): void {
    this.#isOpen = true
    this.#shown = []
    // Twice, as Node does not set a mode that it thinks is set.
    process.stdin.setRawMode(false)
    process.stdin.setRawMode(true)
    process.stdin.resume()
    write(ENTER)
  }

  #leave(): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    try {
      process.stdin.setRawMode(false)
      write(LEAVE)
    } catch (error) {
      // The terminal is gone, so there is none to give back.
      if (!(error instanceof OutputError) && !(error instanceof Error && 'syscall' in error)) throw error
    }
  }

  /** Stops the processes of this job, as Ctrl-Z does, and goes on when a shell continues them. */
  #stop(): void {
    this.#leave()
    process.off('SIGTSTP', this.#onStop)
    process.kill(0, 'SIGTSTP')
    // The kernel ignores the signal where no shell could continue the job.
    setImmediate(() => {
      process.on('SIGTSTP', this.#onStop)
      if (this.#isOpen) return
      this.#enter()
      this.#redraw()
    })
  }

  #redraw(): void {
    this.#shown = []
    if (this.#isOpen) write('\u001b[2J')
    this.#events.onRedraw()
  }
}
