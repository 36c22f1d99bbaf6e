// Child processes for tests: real ones, that can be killed.
import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { afterEach } from '@jest/globals'

import { tryLockSync, unlockSync } from '../../src/lock.js'
import { Queue, type QueueOptions } from '../../src/queue.js'
import { FAULT_BUILD } from './fault-build.js'

const PROGRAMS = fileURLToPath(new URL('../programs', import.meta.url))
const PATIENCE = 40_000
const DIRECTORIES = ['queue', 'tmp', 'done', 'fail'] as const

/** One line of a child: what it said. */
export type Line = Readonly<Record<string, unknown>>

export interface Ending {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

export interface ChildOptions {
  /** Runs on the fault-point build; FSQ_FAULTS. */
  readonly faults?: string
  /** Loads the fault-point build without faults at first. */
  readonly faultBuild?: boolean
  readonly env?: NodeJS.ProcessEnv
  readonly node?: readonly string[]
}

const running = new Set<Child>()
const directories = new Set<string>()

afterEach(async () => {
  for (const child of running) child.kill()
  await Promise.all([...running].map(({ ended }) => ended))
  for (const directory of directories) fs.rmSync(directory, { recursive: true, force: true })
  directories.clear()
})

/** A directory of this test's own, removed after it. `quick`: in memory if possible, for tests that are many. */
export function makeDirectory({ quick = false } = {}): string {
  const base = quick && fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir()
  const directory = fs.realpathSync(fs.mkdtempSync(path.join(base, 'fsq-test-')))
  directories.add(directory)
  return directory
}

/** A program, by its path from test/programs/, running. */
export class Child {
  readonly lines: Line[] = []
  readonly ended: Promise<Ending>
  stderr = ''
  readonly #process: ChildProcess
  readonly #emitter = new EventEmitter()
  #isOver = false

  constructor(program: string, job: unknown, options: ChildOptions = {}) {
    const isFaulty = options.faults !== undefined || options.faultBuild === true
    const preload = isFaulty ? ['--require', FAULT_BUILD] : []
    const file = path.join(PROGRAMS, program)
    const env = { ...process.env, ...options.env }
    delete env['FSQ_FAULTS']
    if (options.faults !== undefined) env['FSQ_FAULTS'] = options.faults
    const command = program.endsWith('.py')
      ? ['python3', file]
      : [process.execPath, ...preload, ...(options.node ?? []), file]
    const [executable = '', ...args] = command
    this.#process = spawn(executable, [...args, JSON.stringify(job)], {
      env,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#process.stdin?.on('error', () => {})
    this.#read()
    running.add(this)
    this.ended = new Promise((resolve) => {
      // 'close', not 'exit': all that it has said has been read by then.
      this.#process.once('close', (code, signal) => {
        running.delete(this)
        this.#isOver = true
        this.#emitter.emit('change')
        resolve({ code, signal })
      })
    })
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  kill(signal: NodeJS.Signals = 'SIGKILL'): void {
    this.#process.kill(signal)
  }

  /** A line on its standard input. */
  tell(message: unknown): void {
    this.#process.stdin?.write(`${JSON.stringify(message)}\n`)
  }

  /** The lines that have this key. */
  said(key: string): Line[] {
    return this.lines.filter((line) => key in line)
  }

  /** The first line, from `from` on, that has this key. Rejects if the child ends without it. */
  async says(key: string, from = 0): Promise<Line> {
    const deadline = Date.now() + PATIENCE
    for (;;) {
      const found = this.lines.slice(from).find((line) => key in line)
      if (found !== undefined) return found
      if (this.#isOver || Date.now() > deadline) {
        throw new Error(
          `the child has not said '${key}':\n${JSON.stringify(this.lines.slice(-5))}\n${this.stderr}`,
        )
      }
      await Promise.race([
        new Promise((resolve) => this.#emitter.once('change', resolve)),
        later(PATIENCE, undefined, { ref: false }),
      ])
    }
  }

  #read(): void {
    let rest = ''
    this.#process.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      const parts = (rest + chunk).split('\n')
      rest = parts.pop() ?? ''
      for (const part of parts) this.lines.push(JSON.parse(part) as Line)
      this.#emitter.emit('change')
    })
    this.#process.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      this.stderr += chunk
    })
  }
}

/** Resolves as soon as the condition holds; rejects after a generous time. */
export async function until(what: string, condition: () => boolean): Promise<void> {
  const deadline = Date.now() + PATIENCE
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not so in time: ${what}`)
    await later(1)
  }
}

/** Runs the tasks, so many at a time. */
export async function inParallel<Task>(
  tasks: readonly Task[],
  width: number,
  run: (task: Task) => Promise<void>,
): Promise<void> {
  let next = 0
  const lane = async (): Promise<void> => {
    while (next < tasks.length) await run(tasks[next++] as Task)
  }
  await Promise.all(Array.from({ length: width }, lane))
}

/** Whether the file has no lock, of either kind. */
export function isFree(file: string): boolean {
  // Regular files only: a directory cannot be opened for writing, so it has no fcntl lock.
  const isFile = fs.statSync(file).isFile()
  const descriptor = fs.openSync(
    file,
    (isFile ? fs.constants.O_RDWR : fs.constants.O_RDONLY) | fs.constants.O_NONBLOCK,
  )
  const kinds = isFile ? (['flock', 'fcntl'] as const) : (['flock'] as const)
  try {
    return kinds.every((kind) => tryLockSync(descriptor, { kind }) !== undefined)
  } finally {
    for (const kind of kinds) unlockSync(descriptor, { kind })
    fs.closeSync(descriptor)
  }
}

export type Where = (typeof DIRECTORIES)[number]

/** A file of a queue, as it lies there. */
export interface Found {
  readonly where: Where
  readonly name: string
  readonly path: string
  readonly inode: number
  readonly links: number
  readonly mode: number
  readonly content: Buffer
}

/** All files of a queue. */
export function filesOf(queuePath: string, where?: Where): Found[] {
  return DIRECTORIES.filter((directory) => where === undefined || directory === where).flatMap((directory) =>
    fs.readdirSync(path.join(queuePath, directory)).map((name) => {
      const file = path.join(queuePath, directory, name)
      const { ino, nlink, mode } = fs.lstatSync(file)
      const content = fs.readFileSync(file)
      return {
        where: directory,
        name,
        path: file,
        inode: ino,
        links: nlink,
        mode: mode & 0o7777,
        content,
      }
    }),
  )
}

/** The arguments in a name that needs no decoding. */
export function argsIn(name: string): readonly string[] {
  return name.split('_').slice(6)
}

/** An ordinary worker, here and now: all that waits is run and done. */
export async function workOff(
  root: string,
  name: string,
  options: QueueOptions = {},
): Promise<{ ran: string[]; contents: Map<string, Buffer>; reports: string[] }> {
  const reports: string[] = []
  const queue = new Queue(name, { root, maxTries: 0, onReport: ({ type }) => reports.push(type), ...options })
  const ran: string[] = []
  const contents = new Map<string, Buffer>()
  try {
    await until('the queue is empty', () => true)
    const deadline = Date.now() + PATIENCE
    while ((await queue.counts()).waiting > 0) {
      for await (const item of queue.scan()) {
        ran.push(item.id)
        contents.set(item.id, await item.bytes())
        await item.done()
      }
      if (Date.now() > deadline) throw new Error('the queue does not become empty')
      await later(1) // some are delayed
    }
  } finally {
    await queue.close()
  }
  return { ran, contents, reports }
}

/** Removes the files as they appear, which lets the calls that wait for that go on; gives their names in order. */
export class Gate {
  readonly passed: string[] = []
  readonly #directory: string
  #isOpen = true

  constructor(directory: string) {
    this.#directory = directory
    fs.mkdirSync(directory, { recursive: true })
  }

  /** The faults that make each point pause here. */
  static faults(points: readonly string[], directory: string): string {
    return points.map((point) => `${point}=pause:${path.join(directory, point)}`).join(';')
  }

  async watch(): Promise<void> {
    while (this.#isOpen) {
      for (const name of fs.readdirSync(this.#directory)) {
        this.passed.push(name)
        fs.unlinkSync(path.join(this.#directory, name))
      }
      await later(0)
    }
  }

  close(): void {
    this.#isOpen = false
  }
}
