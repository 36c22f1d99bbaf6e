/**
 * One child process and the channel to it.
 *
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process'
import process from 'node:process'

import type { Envelope, FromChild, ToChild } from './messages.js'
import { clearTimeout, setTimeout } from '../../real-timers.js'

// The channel ends with the child, unless another process has inherited it.
const CHANNEL_MS = 1000

/** How a child process has ended. */
export interface Ending {
  readonly exitCode: number | null
  readonly signal: NodeJS.Signals | null
  /** It could not even be started. */
  readonly error?: unknown
}

export interface LinkOptions {
  readonly program: string
  readonly execArgv: readonly string[] | undefined
  readonly env: NodeJS.ProcessEnv | undefined
  readonly onMessage: (message: FromChild) => void
  /** Called once, after the last message. */
  readonly onEnd: (ending: Ending) => void
}

export class Link {
  readonly #child: ChildProcess
  readonly #options: LinkOptions
  #isOver = false
  #ending: Ending | undefined
  #isDisconnected = false
  #patience: NodeJS.Timeout | undefined

  constructor(options: LinkOptions) {
    this.#options = options
    const { program, execArgv = inheritedExecArgv(), env } = options
    this.#child = fork(program, [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      ...(execArgv === undefined ? {} : { execArgv: [...execArgv] }),
      ...(env === undefined ? {} : { env }),
    })
    // The other end is worker-process.ts.
    this.#child.on('message', (message) => {
      // The next child counts its runs from 1 again, so that a late message would be taken for one about its items.
      const { fsq } = (message as unknown as Partial<Envelope> | null) ?? {}
      if (!this.#isOver && fsq !== undefined) options.onMessage(fsq)
    })
    this.#child.on('error', (error) => {
      // Later: a fork that fails at once may say so before its caller has this object.
      if (this.#child.pid === undefined)
        setTimeout(() => this.#end({ exitCode: null, signal: null, error }), 0)
    })
    this.#child.on('exit', (exitCode, signal) => this.#onExit({ exitCode, signal }))
    this.#child.on('disconnect', () => {
      this.#isDisconnected = true
      if (this.#ending !== undefined) this.#end(this.#ending)
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** Does nothing if the child has ended. */
  send(message: ToChild): void {
    if (this.#child.connected) this.#child.send(message, () => undefined)
  }

  kill(): void {
    this.#child.kill('SIGKILL')
  }

  /** Sets whether the child keeps this process alive. */
  keepAlive(does: boolean): void {
    const way = does ? 'ref' : 'unref'
    this.#child[way]()
    // In Bun the channel has no such methods.
    const channel: Partial<Record<typeof way, () => void>> = this.#child.channel ?? {}
    channel[way]?.()
  }

  /** The last messages may come after the exit. */
  #onExit(ending: Ending): void {
    this.#ending = ending
    if (this.#isDisconnected || !this.#child.connected) this.#end(ending)
    else this.#patience = setTimeout(() => this.#end(ending), CHANNEL_MS)
  }

  #end(ending: Ending): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#patience)
    // An open channel keeps this process alive: one that another process has inherited, or whose end Deno does not tell.
    if (this.#child.connected) this.#child.disconnect()
    this.#options.onEnd(ending)
  }
}

// Options whose value is the next argument.
const PROGRAM_OPTIONS: readonly string[] = ['--input-type', '-e', '--eval', '-p', '--print', '-pe']

/**
 * The options of this process, but those of a program in its command line or on its stdin: with `--input-type`, Node runs no file. Without
 * that option, fork() itself leaves out the program.
 */
function inheritedExecArgv(): readonly string[] | undefined {
  const given = process.execArgv
  if (!given.some((option) => option.startsWith('--input-type'))) return undefined
  return given.filter((option, index) => {
    const isValue = PROGRAM_OPTIONS.includes(given[index - 1] ?? '')
    return !isValue && !PROGRAM_OPTIONS.includes(option.split('=')[0] ?? '')
  })
}
