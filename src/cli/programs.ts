/**
 * The handler of a scan: runs the program for an item, and says by how it has ended whether the item is done.
 *
 * | the program | the handler |
 * | --- | --- |
 * | exits with the code for success | returns: the item is done |
 * | exits with another code | throws a {@link ProgramError}: the item fails, or is tried again |
 * | runs for its timeout | sends SIGTERM, then SIGKILL; how it ends decides |
 * | is killed by a signal | throws a {@link ProgramError}: the item fails, and the scan stops |
 * | cannot be run, or ends after a signal has stopped the scan | throws a {@link RetryLater}: the item goes back as it was |
 *
 * @module
 */
import type { ChildProcess } from 'node:child_process'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'
import { getSystemErrorMap } from 'node:util'

import { RetryLater } from '../errors/classes.js'
import { ageText } from '../inspect/age-text.js'
import type { WorkItem } from '../item/work-item.js'
import type { Settings } from '../settings.js'
import type { HandlerContext } from '../work/run.js'
import { type Ending, itemEnvironment, runChild } from './child.js'
import { ErrorOutput } from './error-output.js'
import { say } from './output.js'
import { ProgramError } from './program-error.js'
import { type ScanStop, isStopping } from './scan-stop.js'

const STDIN = 0
const STDERR = 2
// Errors of missing resources, independent of the program.
const SHORTAGES = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']
// Each takes two descriptors, and the items need theirs.
const MOST_OUTPUTS = 256
const SIGNAL_MS = 200
/** From the SIGTERM at the timeout of a program to its SIGKILL. */
const KILL_MS = 5000

/** What to run, and how. */
export interface ProgramOptions {
  /** Empty: the arguments of each item are the program and its arguments. */
  readonly program: readonly string[]
  readonly isVerbose: boolean
  /** Programs read the standard input of this process instead of the item. */
  readonly isInputLeft: boolean
  /** Items are finished. Otherwise they are released. */
  readonly isFinishing: boolean
  readonly hasEnvironment: boolean
  /** Whose queue is scanned. `undefined`: that of no host. */
  readonly host?: string | undefined
  /** Milliseconds that a program may run. 0: without limit. */
  readonly timeout: number
}

/** Runs the programs of one scan. */
export class Programs {
  readonly #options: ProgramOptions & { readonly hasLog: boolean }
  readonly #settings: Settings
  /** Of the queue. */
  readonly #path: string
  readonly #stop: ScanStop
  /** Those that no program uses. */
  readonly #outputs: ErrorOutput[] = []
  #opened = 0

  /** @param options - `hasLog`: whether failures are written down, with what the programs wrote to standard error. */
  constructor(
    options: ProgramOptions & { readonly hasLog: boolean },
    queue: { readonly settings: Settings; readonly path: string },
    stop: ScanStop,
  ) {
    this.#options = options
    this.#settings = queue.settings
    this.#path = queue.path
    this.#stop = stop
  }

  close(): void {
    for (const output of this.#outputs.splice(0)) output.close()
  }

  /** The handler of the items. It throws if the item is not done. */
  async run(item: WorkItem, context: HandlerContext): Promise<void> {
    const { program, isFinishing, isVerbose } = this.#options
    const { id } = item
    const argv = [...program, ...item.args]
    try {
      if (argv.length === 0) throw permanent(id, 'there is no program, and the item has no arguments')
      await this.#runProgram(item, argv, context)
    } catch (error) {
      if (isFinishing || !(error instanceof ProgramError)) throw error
      if (isVerbose) say(`${id}: ${error.why}; left as it is`)
    }
    if (!isFinishing) item.release()
  }

  async #runProgram(item: WorkItem, argv: readonly string[], context: HandlerContext): Promise<void> {
    const { isInputLeft, hasEnvironment, timeout } = this.#options
    const signal = timeout > 0 ? context.signal : undefined
    const output = this.#options.hasLog ? (this.#outputs.pop() ?? this.#openOutput()) : undefined
    output?.begin()
    let started: ChildProcess | undefined
    let killer: NodeJS.Timeout | undefined
    const onTimeout = (): void => {
      started?.kill('SIGTERM')
      killer = setTimeout(() => started?.kill('SIGKILL'), KILL_MS)
    }
    const ending = await runChild({
      argv,
      env: hasEnvironment ? itemEnvironment(item, this.#options.host) : process.env,
      stdin: isInputLeft ? STDIN : await item.openFd(),
      stderr: output?.descriptor ?? STDERR,
      onStart: (child) => {
        started = child
        this.#stop.children.add(child)
        signal?.addEventListener('abort', onTimeout)
      },
    })
    clearTimeout(killer)
    signal?.removeEventListener('abort', onTimeout)
    if (started !== undefined) this.#stop.children.delete(started)
    const written = output?.end() ?? ''
    if (output !== undefined) this.#outputs.push(output)
    await this.#settle(item, ending, written, killer !== undefined)
  }

  #openOutput(): ErrorOutput | undefined {
    if (this.#opened === MOST_OUTPUTS) return undefined
    const output = ErrorOutput.open()
    if (output !== undefined) this.#opened++
    return output
  }

  /** Throws unless the item is done (fsq standard, section 6). */
  async #settle(item: WorkItem, ending: Ending, output: string, isLate: boolean): Promise<void> {
    const { success, failTmp, failPerm } = this.#settings
    if ('error' in ending) return this.#settleUnrun(item, ending.error)
    if ('signal' in ending) return this.#settleKilled(item, ending.signal, output, isLate)
    const { code } = ending
    if (code === success) return
    // The program got a signal, and may exit with this code because of it.
    if (this.#stop.closing.aborted) throw this.#released(item, `was ended with exit code ${code}`)
    const isPermanent = isLate ? code === failPerm : code !== failTmp
    throw new ProgramError({
      id: item.id,
      why: this.#lateness(isLate, `exit code ${code}`),
      code,
      output,
      isPermanent,
    })
  }

  #settleUnrun(item: WorkItem, error: NodeJS.ErrnoException): never {
    const { id } = item
    const { code } = error
    // An argument has a NUL, which no program can take.
    if (code === 'ERR_INVALID_ARG_VALUE')
      throw permanent(id, 'an argument has a NUL, which no program can be given')
    const [file] = this.#options.program
    const reason = reasonOf(error)
    // An item that names no program must not keep the others from running.
    if (file === undefined && !SHORTAGES.includes(code ?? '')) {
      const why = `cannot run '${item.args[0] ?? ''}': ${reason}`
      throw new ProgramError({ id, why, isPermanent: false })
    }
    const program = file === undefined ? 'programs' : `the program '${file}'`
    if (!this.#stop.isStopped())
      this.#stop.fail(
        `cannot run ${program} for items of ${this.#path}: ${reason}. They stay as they are; ${adviceFor(code)}`,
      )
    throw new RetryLater({ after: 0 })
  }

  async #settleKilled(
    item: WorkItem,
    signal: NodeJS.Signals,
    output: string,
    isLate: boolean,
  ): Promise<void> {
    const { id } = item
    const failure = { id, why: this.#lateness(isLate, `killed by ${signal}`), code: signal, output }
    if (this.#stop.closing.aborted) throw this.#released(item, `was ended by ${signal}`)
    if (isLate) throw new ProgramError({ ...failure, isPermanent: false })
    // Ctrl-C reaches the programs, too. On a busy machine they may end before this process gets its signal.
    const stops = isStopping(signal)
    if (stops && !this.#stop.isInterrupted())
      await later(SIGNAL_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined)
    if (this.#stop.isInterrupted() && stops) throw this.#released(item, `was ended by ${signal}`)
    this.#stop.fail(`${id}: the program was killed by ${signal}; the scan stops`)
    throw new ProgramError({ ...failure, isPermanent: true })
  }

  #lateness(isLate: boolean, why: string): string {
    return isLate ? `timeout of ${ageText(this.#options.timeout / 1000)}: ${why}` : why
  }

  /** The error by which the handler gives an item back as it was. */
  #released(item: WorkItem, why: string): RetryLater {
    this.#stop.tell(`${item.id}: ${why}: released`)
    return new RetryLater({ after: 0 })
  }
}

function permanent(id: string, why: string): ProgramError {
  return new ProgramError({ id, why, isPermanent: true })
}

/** The text of the error number: Node's message has only its code. */
function reasonOf({ code, errno, message }: NodeJS.ErrnoException): string {
  const [, text] = getSystemErrorMap().get(errno ?? 0) ?? []
  return text === undefined ? message : `${text} (${code})`
}

function adviceFor(code = ''): string {
  if (SHORTAGES.includes(code)) return 'run fewer at once (-j), or raise the limits (ulimit -a)'
  if (code === 'ENOENT') return 'check its path and PATH, and the interpreter in its first line'
  return 'check its path and its mode'
}
