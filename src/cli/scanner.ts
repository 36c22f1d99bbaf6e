/**
 * Runs programs for the items of a queue, by the engine of `queue.work()`: the pool runs the program of each item, decides the move by how
 * the program ended, logs a failure and moves the item. Unlike a worker, a scan ends: after its pass, at the first error of the queue,
 * and when a program cannot be run or is killed.
 *
 * @module
 */
import type { ChildProcess } from 'node:child_process'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'
import { getSystemErrorMap } from 'node:util'

import { FinishError, RetryLater } from '../errors/classes.js'
import { ageText } from '../inspect/age-text.js'
import type { WorkItem } from '../item/work-item.js'
import type { Keep } from '../maintain/prune.js'
import type { Crash } from '../meta/burial.js'
import type { Queue } from '../queue.js'
import type { Report, ReportListener } from '../report.js'
import type { Backoff } from '../work/backoff.js'
import type { WorkerEvents } from '../work/events.js'
import type { Counters, Journal } from '../work/journal.js'
import { checkWorkerOptions } from '../work/options.js'
import { Pool } from '../work/pool.js'
import type { HandlerContext, Tell } from '../work/run.js'
import { NO_JOURNAL } from '../work/work.js'
import { type Ending, itemEnvironment, runChild } from './child.js'
import { FAILED_ITEMS, FAILURE, SUCCESS } from './command.js'
import { explain } from './advice.js'
import { DoneLimit } from './done-limit.js'
import { ErrorOutput } from './error-output.js'
import { say } from './output.js'
import { ProgramError } from './program-error.js'
import { Rate } from './rate.js'
import { ScanJournal } from './scan-journal.js'

const STDIN = 0
const STDERR = 2
// Errors of missing resources, independent of the program.
const SHORTAGES = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']
const SIGNAL_MS = 200
const STOPPING = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const
/** From the SIGTERM at the timeout of a program to its SIGKILL. */
const KILL_MS = 5000

/** What to run, and how. */
export interface ScannerOptions {
  /** Empty: the arguments of each item are the program and its arguments. */
  readonly program: readonly string[]
  readonly jobs: number
  /** Programs started in a second. 0 or less: no limit. */
  readonly rate: number
  readonly isFollowing: boolean
  readonly isVerbose: boolean
  /** Programs read the standard input of this process instead of the item. */
  readonly isInputLeft: boolean
  /** Items are finished. Otherwise they are released. */
  readonly isFinishing: boolean
  readonly hasEnvironment: boolean
  /** The exit code tells whether items have failed. */
  readonly hasExitCode: boolean
  /** Milliseconds that a program may run. 0: without limit. */
  readonly timeout: number
  /** Until an item is tried again. */
  readonly backoff: Exclude<Backoff<WorkItem>, (...args: never) => unknown>
  /** 0: without limit, and nothing is written down. `undefined`: the default of a worker. */
  readonly maxCrashes: number | undefined
  /** Which done items are kept. */
  readonly keepDone: boolean | Keep
}

const MAX_CRASHES = 3

/** Runs programs for the items of one queue. */
export class Scanner {
  readonly #queue: Queue
  readonly #options: ScannerOptions
  readonly #rate: Rate
  readonly #journal: Journal<WorkItem>
  readonly #pool: Pool<WorkItem>
  readonly #doneLimit: DoneLimit | undefined
  /** Whether failures are written down. */
  readonly #hasLog: boolean
  /** The standard error outputs that no program uses. */
  readonly #outputs: ErrorOutput[] = []
  readonly #children = new Set<ChildProcess>()
  readonly #stop = new AbortController()
  readonly #counters = { started: 0, done: 0, retried: 0, failed: 0, postponed: 0, released: 0, crashed: 0 }
  /** `aborted`: a second signal has been passed on to the programs. */
  readonly #closing = { begun: false, aborted: false }
  /** How many items cannot be finished. */
  #unfinished = 0
  #onChange: () => void = () => undefined
  #isInterrupted = false
  #isOver = false
  #hasFailed = false
  /** Items that were reported instead of being run. */
  #unrun = { failed: 0, left: 0 }

  /** @param openQueue - Makes the handle, with a listener for its reports. */
  constructor(openQueue: (onReport: ReportListener) => Queue, options: ScannerOptions) {
    const { jobs, timeout, keepDone, isFinishing, maxCrashes = MAX_CRASHES } = options
    this.#queue = openQueue((report) => {
      this.#report(report)
    })
    this.#options = options
    this.#rate = new Rate(options.rate)
    this.#hasLog = isFinishing && maxCrashes > 0
    const guard = {
      maxCrashes,
      concurrency: () => jobs,
      onCrashed: (crash: Crash) => this.#tellOfCrash(crash),
    }
    this.#journal = this.#hasLog ? new ScanJournal(() => this.#queue.openGuard(guard)) : NO_JOURNAL
    if (typeof keepDone === 'object')
      this.#doneLimit = new DoneLimit(this.#queue, keepDone, (error) => {
        this.#hasFailed = true
        say(explain(error))
      })
    this.#pool = this.#newPool(
      checkWorkerOptions<WorkItem>({ concurrency: jobs, timeout, keepDone: keepDone !== false }),
    )
  }

  /** @returns The exit code. */
  async run(): Promise<number> {
    const listeners = STOPPING.map((signal) => [signal, () => this.#interrupt(signal)] as const)
    for (const [signal, listener] of listeners) process.on(signal, listener)
    try {
      await this.#takeAll()
    } catch (error) {
      // A message has told of a failed finish already. A waiting scan ends by throwing the reason of its signal.
      if (!(error instanceof FinishError) && error !== this.#stop.signal.reason) this.#fail(explain(error))
    } finally {
      await this.#ended()
      this.#isOver = true
      this.#journal.close()
      for (const output of this.#outputs) output.close()
      await this.#doneLimit?.end()
      await this.#queue.close()
      for (const [signal, listener] of listeners) process.off(signal, listener)
    }
    if (this.#hasFailed) return FAILURE
    if (!this.#options.hasExitCode) return SUCCESS
    if (this.#counters.failed + this.#unrun.failed > 0) return FAILED_ITEMS
    return this.#counters.retried + this.#unrun.left > 0 ? FAILURE : SUCCESS
  }

  async #takeAll(): Promise<void> {
    const { signal } = this.#stop
    const items = this.#queue.scan(
      this.#options.isFollowing ? { prefetch: 1, wait: true, signal } : { prefetch: 1 },
    )
    try {
      for (;;) {
        // First a free place, then the item: until then, another scan with a free place can claim it.
        while (this.#pool.isFull && !this.#isStopped()) await this.#pool.change()
        if (!this.#isStopped()) await this.#rate.turn(signal)
        if (this.#isStopped()) return
        const next = await items.next()
        if (next.done === true) return
        if (this.#isStopped()) {
          next.value.release()
          return
        }
        this.#rate.count()
        this.#pool.add(next.value)
      }
    } finally {
      // Leaving the loop releases its current item.
      await this.#ended()
      await items.return()
    }
  }

  /** Resolves when no item is in hand but those that cannot be finished. */
  async #ended(): Promise<void> {
    while (!this.#pool.isEmpty && (this.#unfinished === 0 || this.#pool.running.size > this.#unfinished))
      await new Promise<void>((resolve) => (this.#onChange = resolve))
  }

  #isStopped(): boolean {
    return this.#stop.signal.aborted
  }

  #newPool(options: ReturnType<typeof checkWorkerOptions<WorkItem>>): Pool<WorkItem> {
    const backoff = checkWorkerOptions<WorkItem>({ backoff: this.#options.backoff }).backoff
    const desk = {
      handler: async (item: WorkItem, context: HandlerContext): Promise<void> => this.#work(item, context),
      options: {
        ...options,
        backoff: (tries: number, error: unknown, item: WorkItem) =>
          !(error instanceof ProgramError && error.isPermanent) && backoff(tries, error, item),
      },
      journal: this.#journal,
      closing: this.#closing,
      tell: this.#tell,
      count: (what: keyof Counters) => this.#counters[what]++,
      counted: () => {
        this.#journal.state(this.#closing.begun ? 'closing' : 'running', this.#counters)
        this.#onChange()
      },
      unfinished: () => {
        this.#unfinished++
        this.#onChange()
      },
      recovered: () => this.#unfinished--,
    }
    return new Pool<WorkItem>(desk, () => {
      this.#onChange()
    })
  }

  /** The handler of the items. It throws if the item is not done. */
  async #work(item: WorkItem, context: HandlerContext): Promise<void> {
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
    const output = this.#hasLog ? (this.#outputs.pop() ?? ErrorOutput.open()) : undefined
    output?.begin()
    let started: ChildProcess | undefined
    let killer: NodeJS.Timeout | undefined
    const onTimeout = (): void => {
      started?.kill('SIGTERM')
      killer = setTimeout(() => started?.kill('SIGKILL'), KILL_MS)
    }
    const ending = await runChild({
      argv,
      env: hasEnvironment ? itemEnvironment(item) : process.env,
      stdin: isInputLeft ? STDIN : item.fd,
      stderr: output?.descriptor ?? STDERR,
      onStart: (child) => {
        started = child
        this.#children.add(child)
        signal?.addEventListener('abort', onTimeout)
      },
    })
    clearTimeout(killer)
    signal?.removeEventListener('abort', onTimeout)
    if (started !== undefined) this.#children.delete(started)
    const written = output?.end() ?? ''
    if (output !== undefined) this.#outputs.push(output)
    await this.#settle(item, ending, written, killer !== undefined)
  }

  /** Throws unless the item is done (fsq standard, section 6). */
  async #settle(item: WorkItem, ending: Ending, output: string, isLate: boolean): Promise<void> {
    const { success, failTmp, failPerm } = this.#queue.settings
    if ('error' in ending) return this.#settleUnrun(item, ending.error)
    if ('signal' in ending) return this.#settleKilled(item, ending.signal, output, isLate)
    const { code } = ending
    if (code === success) return
    // The program got a signal, and may exit with this code because of it.
    if (this.#closing.aborted) throw this.#released(item, `was ended with exit code ${code}`)
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
    if (!this.#isStopped())
      this.#fail(
        `cannot run ${program} for items of ${this.#queue.path}: ${reason}. They stay as they are; ${adviceFor(code)}`,
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
    if (this.#closing.aborted) throw this.#released(item, `was ended by ${signal}`)
    if (isLate) throw new ProgramError({ ...failure, isPermanent: false })
    // Ctrl-C reaches the programs, too. On a busy machine they may end before this process gets its signal.
    const isStopping = STOPPING.some((stopping) => stopping === signal)
    if (isStopping && !this.#isInterrupted)
      await later(SIGNAL_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined)
    if (this.#isInterrupted && isStopping) throw this.#released(item, `was ended by ${signal}`)
    this.#fail(`${id}: the program was killed by ${signal}; the scan stops`)
    throw new ProgramError({ ...failure, isPermanent: true })
  }

  #lateness(isLate: boolean, why: string): string {
    return isLate ? `timeout of ${ageText(this.#options.timeout / 1000)}: ${why}` : why
  }

  /** What a handler throws whose item goes back as it was. */
  #released(item: WorkItem, why: string): RetryLater {
    this.#hasFailed = true
    say(`${item.id}: ${why}: released`)
    return new RetryLater({ after: 0 })
  }

  readonly #tell: Tell<WorkItem> = (name, ...events) => {
    if (this.#isOver) return
    const [event] = events as unknown[]
    const { isVerbose } = this.#options
    switch (name) {
      case 'started':
        if (isVerbose) say(`working on ${(event as WorkerEvents<WorkItem>['started'][0]).item.id} ...`)
        break
      case 'done':
        this.#doneLimit?.count()
        if (isVerbose) say(`${(event as WorkerEvents<WorkItem>['done'][0]).item.id}: succeeded`)
        break
      case 'retried':
        this.#tellOfRetry(event as WorkerEvents<WorkItem>['retried'][0])
        break
      case 'failed':
        this.#tellOfFailure(event as WorkerEvents<WorkItem>['failed'][0])
        break
      case 'error':
        this.#hasFailed = true
        say(explain(event))
        if (event instanceof FinishError) this.#end()
        break
      default:
        // The rest is told where it happens, or is no news for a person.
        break
    }
  }

  #tellOfRetry({ item, error, due }: WorkerEvents<WorkItem>['retried'][0]): void {
    const { id, why } = failureOf(item.id, error)
    const seconds = due === undefined ? 0 : Math.round((due.getTime() - Date.now()) / 1000)
    say(`${id}: failed temporarily (${why}${seconds > 0 ? `; due again in ${ageText(seconds)}` : ''})`)
  }

  #tellOfFailure({ item, id, reason, error }: WorkerEvents<WorkItem>['failed'][0]): void {
    const tries = (item?.tries ?? 0) + 1
    const after =
      reason === 'permanent' || reason === 'crashed'
        ? ''
        : `, after ${tries} ${tries === 1 ? 'try' : 'tries'}`
    const why =
      reason === 'crashed'
        ? 'too many processes have died with it in hand; it was not run'
        : failureOf(id, error).why
    say(`${id}: failed permanently (${why}${after}${MORE[reason] ?? ''})`)
  }

  #tellOfCrash({ id, host, pid, together }: Crash): void {
    this.#counters.crashed++
    const others = together === 1 ? '' : `, and with ${together - 1} more`
    say(`${id}: the process ${pid} on ${host} has died with this item in hand${others}`)
  }

  #report({ type, name, message }: Report): void {
    // Scans have always run where they may not write beside the items, as from cron.
    if (type === 'meta' && !this.#options.isVerbose && this.#options.maxCrashes === undefined) return
    say(`${name} ${message}`)
    if (['malformed', 'expired', 'exhausted'].includes(type)) this.#unrun.failed++
    if (['unreadable', 'unmovable'].includes(type)) this.#unrun.left++
  }

  #fail(message: string): void {
    this.#hasFailed = true
    say(message)
    this.#end()
  }

  /** Starts no more programs. A death of this process is no item's fault any more. */
  #end(): void {
    if (this.#closing.begun) return
    this.#closing.begun = true
    this.#journal.closing()
    this.#stop.abort()
    this.#pool.giveUp()
  }

  #interrupt(signal: NodeJS.Signals): void {
    if (this.#isInterrupted) {
      this.#closing.aborted = true
      for (const child of this.#children) child.kill(signal)
      return
    }
    this.#isInterrupted = true
    this.#end()
    if (this.#children.size > 0) {
      say(
        `${signal}: the scan stops when what runs has ended (${this.#children.size} running); a second one is passed on to it`,
      )
    }
  }
}

const MORE: Readonly<Record<string, string>> = {
  expired: ', as it is past its TTL',
  ungrowable: ', as its name would be too long',
}

function permanent(id: string, why: string): ProgramError {
  return new ProgramError({ id, why, isPermanent: true })
}

/** The id that the item had, and what is known of its failure. */
function failureOf(id: string, error: unknown): { readonly id: string; readonly why: string } {
  if (error instanceof ProgramError) return error
  return { id, why: error instanceof Error ? error.message : String(error) }
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
