/**
 * Runs programs for the items of a queue: takes the items, and finishes each by how its program ended.
 *
 * @module
 */
import type { ChildProcess } from 'node:child_process'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'
import { getSystemErrorMap } from 'node:util'

import { FinishError } from '../errors/classes.js'
import type { WorkItem } from '../item/work-item.js'
import type { Queue } from '../queue.js'
import type { ReportListener, ReportType } from '../report.js'
import { type Ending, itemEnvironment, runChild } from './child.js'
import { FAILED_ITEMS, FAILURE, SUCCESS } from './command.js'
import { explain } from './advice.js'
import { say } from './output.js'
import { Rate } from './rate.js'

const STDIN = 0
// Errors of missing resources, independent of the program.
const SHORTAGES = ['EAGAIN', 'EMFILE', 'ENFILE', 'ENOMEM']
const SIGNAL_MS = 200
const STOPPING = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

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
}

/** Runs programs for the items of one queue. */
export class Scanner {
  readonly #queue: Queue
  readonly #options: ScannerOptions
  readonly #rate: Rate
  readonly #jobs = new Set<Promise<void>>()
  readonly #children = new Set<ChildProcess>()
  readonly #stop = new AbortController()
  #onJobEnd: (() => void) | undefined
  /** A second signal has been passed on to the programs. */
  #isHurried = false
  #isInterrupted = false
  #hasFailed = false
  #failedItems = 0
  #retriedItems = 0

  /** @param openQueue - Makes the handle, with a listener for its reports. */
  constructor(openQueue: (onReport: ReportListener) => Queue, options: ScannerOptions) {
    this.#queue = openQueue(({ type, name, message }) => {
      say(`${name} ${message}`)
      this.#count(type)
    })
    this.#options = options
    this.#rate = new Rate(options.rate)
  }

  #count(type: ReportType): void {
    if (['malformed', 'expired', 'exhausted'].includes(type)) this.#failedItems++
    if (['unreadable', 'unmovable'].includes(type)) this.#retriedItems++
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
      await Promise.all(this.#jobs)
      await this.#queue.close()
      for (const [signal, listener] of listeners) process.off(signal, listener)
    }
    if (this.#hasFailed) return FAILURE
    if (!this.#options.hasExitCode) return SUCCESS
    if (this.#failedItems > 0) return FAILED_ITEMS
    return this.#retriedItems > 0 ? FAILURE : SUCCESS
  }

  async #takeAll(): Promise<void> {
    const { jobs, isFollowing } = this.#options
    const { signal } = this.#stop
    const items = this.#queue.scan(isFollowing ? { prefetch: 1, wait: true, signal } : { prefetch: 1 })
    try {
      for (;;) {
        // First a free place, then the item: until then, another scan with a free place can claim it.
        while (this.#jobs.size >= jobs) await this.#jobEnd()
        await this.#rate.turn(signal)
        if (this.#isStopped()) return
        const next = await items.next()
        if (next.done === true) return
        if (this.#isStopped()) {
          next.value.release()
          return
        }
        this.#start(next.value)
      }
    } finally {
      // Leaving the loop releases its current item.
      await Promise.all(this.#jobs)
      await items.return()
    }
  }

  #isStopped(): boolean {
    return this.#stop.signal.aborted
  }

  #start(item: WorkItem): void {
    this.#rate.count()
    const job = this.#work(item).finally(() => {
      this.#jobs.delete(job)
      this.#onJobEnd?.()
    })
    this.#jobs.add(job)
  }

  // Not Promise.race(): it would leave a reaction on the promise of each running job.
  async #jobEnd(): Promise<void> {
    return new Promise((resolve) => {
      this.#onJobEnd = resolve
    })
  }

  /** Never rejects. */
  async #work(item: WorkItem): Promise<void> {
    const { program, isVerbose } = this.#options
    if (isVerbose) say(`working on ${item.id} ...`)
    const argv = [...program, ...item.args]
    try {
      if (argv.length === 0)
        await this.#finish(item, 'fail', 'there is no program, and the item has no arguments')
      else await this.#settle(item, await this.#runProgram(item, argv))
    } catch (error) {
      this.#hasFailed = true
      say(explain(error))
      if (error instanceof FinishError) this.#stop.abort()
    }
  }

  async #runProgram(item: WorkItem, argv: readonly string[]): Promise<Ending> {
    const { isInputLeft, hasEnvironment } = this.#options
    let started: ChildProcess | undefined
    const ending = await runChild({
      argv,
      env: hasEnvironment ? itemEnvironment(item) : process.env,
      stdin: isInputLeft ? STDIN : item.fd,
      onStart: (child) => {
        started = child
        this.#children.add(child)
      },
    })
    if (started !== undefined) this.#children.delete(started)
    return ending
  }

  /** Finishes or releases the item by how its program ended (fsq standard, section 6). */
  async #settle(item: WorkItem, ending: Ending): Promise<void> {
    const { success, failTmp } = this.#queue.settings
    if ('error' in ending) return this.#settleUnrun(item, ending.error)
    if ('signal' in ending) return this.#settleKilled(item, ending.signal)
    if (ending.code === success) return this.#finish(item, 'done')
    // The program got a signal, and may exit with this code because of it.
    if (this.#isHurried) return this.#release(item, `was ended with exit code ${ending.code}`)
    return this.#finish(item, ending.code === failTmp ? 'retry' : 'fail', `exit code ${ending.code}`)
  }

  async #settleUnrun(item: WorkItem, error: NodeJS.ErrnoException): Promise<void> {
    const { code } = error
    // An argument has a NUL, which no program can take.
    if (code === 'ERR_INVALID_ARG_VALUE')
      return this.#finish(item, 'fail', 'an argument has a NUL, which no program can be given')
    const [file] = this.#options.program
    const why = reasonOf(error)
    // An item that names no program must not keep the others from running.
    if (file === undefined && !SHORTAGES.includes(code ?? ''))
      return this.#finish(item, 'retry', `cannot run '${item.args[0] ?? ''}': ${why}`)
    item.release()
    if (this.#isStopped()) return
    const program = file === undefined ? 'programs' : `the program '${file}'`
    this.#fail(
      `cannot run ${program} for items of ${this.#queue.path}: ${why}. They stay as they are; ${adviceFor(code)}`,
    )
  }

  async #settleKilled(item: WorkItem, signal: NodeJS.Signals): Promise<void> {
    // Ctrl-C reaches the programs, too. On a busy machine they may end before this process gets its signal.
    const isStopping = STOPPING.some((stopping) => stopping === signal)
    if (isStopping && !this.#isInterrupted)
      await later(SIGNAL_MS, undefined, { signal: this.#stop.signal }).catch(() => undefined)
    const wasTold = this.#isInterrupted && isStopping
    if (wasTold || this.#isHurried) return this.#release(item, `was ended by ${signal}`)
    this.#fail(`${item.id}: the program was killed by ${signal}; the scan stops`)
    await this.#finish(item, 'fail', `killed by ${signal}`)
  }

  #release(item: WorkItem, why: string): void {
    this.#hasFailed = true
    item.release()
    say(`${item.id}: ${why}: released`)
  }

  async #finish(item: WorkItem, action: 'done' | 'retry' | 'fail', why = ''): Promise<void> {
    const { isFinishing, isVerbose } = this.#options
    // A retry changes the id.
    const { id } = item
    if (!isFinishing) {
      item.release()
      if (isVerbose && action !== 'done') say(`${id}: ${why}; left as it is`)
      return
    }
    if (action === 'done') {
      await item.done()
      if (isVerbose) say(`${id}: succeeded`)
      return
    }
    if (action === 'retry' && (await item.retry()) === 'waiting') {
      this.#retriedItems++
      say(`${id}: failed temporarily (${why})`)
      return
    }
    if (action === 'fail') await item.fail()
    this.#failedItems++
    const tries = item.tries + 1
    const after = action === 'retry' ? `, after ${tries} ${tries === 1 ? 'try' : 'tries'}` : ''
    say(`${id}: failed permanently (${why}${after})`)
  }

  #fail(message: string): void {
    this.#hasFailed = true
    say(message)
    this.#stop.abort()
  }

  #interrupt(signal: NodeJS.Signals): void {
    if (this.#isInterrupted) {
      this.#isHurried = true
      for (const child of this.#children) child.kill(signal)
      return
    }
    this.#isInterrupted = true
    this.#stop.abort()
    if (this.#children.size > 0) {
      say(
        `${signal}: the scan stops when what runs has ended (${this.#children.size} running); a second one is passed on to it`,
      )
    }
  }
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
