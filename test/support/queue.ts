/** Shared by the tests of the queue: a temporary FSQ_ROOT, a look at its files, and programs of their own. */
import { Buffer } from 'node:buffer'
import { execFile, execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'

import { afterEach, beforeEach, expect } from '@jest/globals'

import type { FsqError } from '../../src/errors/classes.js'
import type { InstallOptions } from '../../src/directory/install.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { tryLockSync, unlockSync } from '../../src/lock.js'
import { native } from '../../src/addon/native.js'
import { Queue, type QueueOptions } from '../../src/queue.js'
import type { Report } from '../../src/report.js'
import type { ScanOptions } from '../../src/scan/options.js'

export type Directory = 'queue' | 'tmp' | 'done' | 'fail'

/** The user and group that programs become which give up root. */
export const NOBODY = 65534
const PATIENCE_MS = 20_000

/** A directory for queues that lives as long as one test, and what is in it. */
export class TestBed {
  #root = ''
  readonly #queues: Queue[] = []
  readonly #descriptors: number[] = []
  /** The reports of the queues of {@link install} and {@link open}. */
  readonly reports: Report[] = []

  get root(): string {
    return this.#root
  }

  begin({ quick = false } = {}): void {
    const base = quick && fs.existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir()
    this.#root = fs.mkdtempSync(path.join(fs.realpathSync(base), 'fsq-test-'))
    // Programs that give up root must reach what is below.
    fs.chmodSync(this.#root, 0o755)
  }

  async end(): Promise<void> {
    for (const queue of this.#queues.splice(0)) await queue.close()
    for (const descriptor of this.#descriptors.splice(0)) fs.closeSync(descriptor)
    removeTree(this.#root)
    this.reports.length = 0
  }

  async install(options: QueueOptions & InstallOptions = {}, name = 'q'): Promise<Queue> {
    return this.#keep(await Queue.install(name, this.#withDefaults(options)))
  }

  /** One more handle. */
  open(options: QueueOptions = {}, name = 'q'): Queue {
    return this.#keep(new Queue(name, this.#withDefaults(options)))
  }

  /** A path in the directory of the test. */
  path(...parts: string[]): string {
    return path.join(this.#root, ...parts)
  }

  /** Opens a file until the end of the test. */
  descriptor(file: string | Buffer): number {
    const descriptor = fs.openSync(file, 'r')
    this.#descriptors.push(descriptor)
    return descriptor
  }

  /** Locks a file as another worker would, until the end of the test or until `unlock`. */
  lock(file: string | Buffer): { unlock: () => void } {
    const descriptor = this.descriptor(file)
    if (tryLockSync(descriptor) === undefined) throw new Error(`locked by another: ${String(file)}`)
    return { unlock: () => unlockSync(descriptor) }
  }

  reportTypes(): string[] {
    return this.reports.map(({ type }) => type)
  }

  #withDefaults<Options extends QueueOptions>(options: Options): Options {
    return { root: this.#root, onReport: (report: Report) => void this.reports.push(report), ...options }
  }

  #keep(queue: Queue): Queue {
    this.#queues.push(queue)
    return queue
  }
}

/** For each test of the file: a bed, in memory if possible where it is to be `quick`, and afterwards no claim left behind. */
export function useTestBed(options: { readonly quick?: boolean } = {}): TestBed {
  const bed = new TestBed()
  beforeEach(() => {
    bed.begin(options)
  })
  afterEach(async () => {
    await bed.end()
    expect(native.heldClaims()).toBe(0)
  })
  return bed
}

/** The raw names in a directory of a queue, sorted by their bytes. */
export function names(queue: Queue, directory: Directory): string[] {
  const entries = fs.readdirSync(path.join(queue.path, queue.settings[directory]), { encoding: 'buffer' })
  return entries.map((entry) => entry.toString('latin1')).sort()
}

/** The {@link contents} of a queue without items. */
export const EMPTY = { queue: [], tmp: [], done: [], fail: [] }

/** All that there is in the four directories. */
export function contents(queue: Queue): Record<Directory, string[]> {
  return {
    queue: names(queue, 'queue'),
    tmp: names(queue, 'tmp'),
    done: names(queue, 'done'),
    fail: names(queue, 'fail'),
  }
}

/** The path of an entry as bytes, so that the name need not be text. */
export function pathOf(queue: Queue, directory: Directory, rawName: string): Buffer {
  return Buffer.concat([
    Buffer.from(`${path.join(queue.path, queue.settings[directory])}/`),
    Buffer.from(rawName, 'latin1'),
  ])
}

/** Puts a file into a queue as another program would. */
export function plant(queue: Queue, rawName: string, content = '', directory: Directory = 'queue'): Buffer {
  const file = pathOf(queue, directory, rawName)
  fs.writeFileSync(file, content, { flag: 'wx', mode: 0o640 })
  return file
}

export function contentOf(queue: Queue, directory: Directory, rawName: string): string {
  return fs.readFileSync(pathOf(queue, directory, rawName), 'utf8')
}

interface NameParts {
  timestamp?: string
  entropy?: string | number
  tries?: string | number
  args?: string[]
  delimiter?: string
}

/** A name such as another host would write; the arguments are taken as they are. */
export function itemName(parts: NameParts = {}): string {
  const { timestamp = '20120710213904', entropy = 0, tries = 0, args = ['x'], delimiter = '_' } = parts
  return ['', timestamp, entropy, 13044, 'mss', tries, ...args].join(delimiter)
}

/** Names that sort as they are numbered. */
const numbered = (count: number): string[] =>
  Array.from({ length: count }, (_, index) => itemName({ entropy: index + 1 }))

export function plantNumbered(queue: Queue, count: number): string[] {
  return numbered(count).map((name) => {
    plant(queue, name, name)
    return name
  })
}

/** Whether the file is locked. */
export function isLocked(file: string | Buffer): boolean {
  const descriptor = fs.openSync(file, fs.constants.O_RDONLY)
  try {
    return isLockedBesides(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
}

/** {@link isLocked} by a descriptor, which survives a rename. */
export function isLockedBesides(descriptor: number): boolean {
  const lock = tryLockSync(descriptor)
  lock?.unlock()
  return lock === undefined
}

/**
 * The items that this process has locked. A try to lock an item would make a scan skip it that is about to claim it on another thread,
 * so this asks the kernel, where the kernel tells.
 */
export function lockedNames(queue: Queue): string[] {
  const held = heldFiles()
  return names(queue, 'queue').filter((name) => {
    const file = pathOf(queue, 'queue', name)
    if (held === undefined) return isLocked(file)
    const info = fs.statSync(file, { bigint: true, throwIfNoEntry: false })
    return info !== undefined && held.has(info.ino)
  })
}

/** The inodes of the files that descriptors of this process have locked; `undefined`: this system does not list them. */
function heldFiles(): Set<bigint> | undefined {
  const descriptors = '/proc/self/fdinfo'
  if (!fs.existsSync(descriptors)) return undefined
  const held = new Set<bigint>()
  for (const descriptor of fs.readdirSync(descriptors)) {
    try {
      if (!fs.readFileSync(`${descriptors}/${descriptor}`, 'utf8').includes('FLOCK')) continue
      held.add(fs.fstatSync(Number(descriptor), { bigint: true }).ino)
    } catch {
      // It was closed meanwhile.
    }
  }
  return held
}

/** Hands out one item after the other, and leaves the loop to the test. */
export class Taker {
  readonly #scan: AsyncGenerator<WorkItem, void, undefined>

  constructor(queue: Queue, options?: ScanOptions) {
    this.#scan = queue.scan(options)
  }

  async take(): Promise<WorkItem> {
    const { value } = await this.#scan.next()
    if (value === undefined) throw new Error('no item waits')
    return value
  }

  async next(): Promise<WorkItem | undefined> {
    const { value } = await this.#scan.next()
    return value ?? undefined
  }

  async leave(): Promise<void> {
    await this.#scan.return()
  }
}

/** Claims the first item that waits. */
export async function takeOne(queue: Queue, options?: ScanOptions): Promise<WorkItem> {
  return new Taker(queue, options).take()
}

/** Works off all that waits: the ids, in the order in which they were handed out. */
export async function drain(queue: Queue, options?: ScanOptions): Promise<string[]> {
  const ids: string[] = []
  for await (const item of queue.scan(options)) {
    ids.push(item.id)
    await item.done()
  }
  return ids
}

/** Also directories from which a test has taken the permission of their owner: only root removes them as they are. */
function removeTree(root: string): void {
  try {
    fs.rmSync(root, { recursive: true, force: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EACCES') throw error
    execFileSync('chmod', ['-R', 'u+rwX', root])
    fs.rmSync(root, { recursive: true, force: true })
  }
}

/** Waits for a condition, looking again and again. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  // Not by the clock of the day: some tests set it.
  const end = performance.now() + PATIENCE_MS
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`Waited too long until ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** The error that a call is expected to end with. */
export async function errorOf(run: () => unknown): Promise<unknown> {
  try {
    await run()
  } catch (error) {
    return error
  }
  throw new Error('It did not fail')
}

type FsqErrorClass = (new (...args: never[]) => FsqError) & { readonly code: string }

export interface ExpectedError {
  readonly type: FsqErrorClass
  /** Such as 'ENOENT'. Default: no system call failed. */
  readonly cause?: keyof typeof os.constants.errno
  readonly syscall?: string
  readonly path?: string
  /** The text that the message must have: the problem, or what to do next. */
  readonly says: RegExp
}

/** How a program of ours shows an error; {@link checkError} takes it as well as the error itself. */
export interface ShownError {
  readonly name: string
  readonly code: string
  readonly message: string
  readonly errno?: number
  readonly syscall?: string
  readonly path?: string
  readonly dest?: string
  readonly cause?: ShownError
}

/** Checks everything that an error must tell its reader. */
export function checkError(error: unknown, expected: ExpectedError): void {
  const { type, cause, syscall, path: where, says } = expected
  if (error instanceof Error) expect(error).toBeInstanceOf(type)
  const shown = error as ShownError
  expect({ name: shown.name, code: shown.code }).toEqual({ name: type.name, code: type.code })
  expect(shown.message).toMatch(says)
  if (cause !== undefined) {
    const errno = -os.constants.errno[cause]
    expect({ errno: shown.errno, syscall: shown.syscall }).toEqual({
      errno,
      syscall: syscall ?? expect.any(String),
    })
    expect({ code: shown.cause?.code, errno: shown.cause?.errno }).toEqual({ code: cause, errno })
  }
  if (where !== undefined) expect(shown.path).toBe(where)
}

export interface ProgramOptions {
  /** The value of `given` in the program. */
  readonly given?: unknown
  /** Flags of node. */
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Run before node, by sh: `ulimit -n 64`. */
  readonly shell?: string
  /** In a user and a mount namespace of its own, as their root; with `processes`, in a PID namespace, too: all processes that it leaves end with it. */
  readonly namespace?: boolean | 'processes'
  /** Gives up root before anything else, if it is root. */
  readonly nobody?: boolean
  /** Where dist/ is. */
  readonly distribution?: string
}

/** The command that makes a user, a mount and a PID namespace, and ends all processes in there with the first one. */
export const OWN_PROCESSES = [
  'unshare',
  '--map-root-user',
  '--mount',
  '--pid',
  '--fork',
  '--kill-child',
  '--mount-proc',
] as const

const PROJECT = path.resolve(import.meta.dirname, '../..')

const PRELUDE = `
import fs from 'node:fs'
import path from 'node:path'
import { execFileSync, spawnSync } from 'node:child_process'
const given = JSON.parse(process.env.FSQ_TEST_GIVEN)
const becomeNobody = () => {
  if (process.getuid() !== 0) return
  process.setgroups([])
  process.setgid(${NOBODY})
  process.setuid(${NOBODY})
}
if (process.env.FSQ_TEST_NOBODY === '1') becomeNobody()
const fsq = await import(process.env.FSQ_TEST_INDEX)
const { Queue } = fsq
const show = (error) => ({
  name: error.name, code: error.code, message: error.message, errno: error.errno, syscall: error.syscall,
  path: error.path, dest: error.dest,
  ...(error.cause instanceof Error ? { cause: show(error.cause) } : {}),
})
const errorOf = async (run) => {
  try {
    await run()
  } catch (error) {
    return show(error)
  }
  return { name: 'none', code: 'none', message: 'It did not fail' }
}
const until = async (condition) => {
  const end = Date.now() + ${PATIENCE_MS}
  while (!(await condition())) {
    if (Date.now() > end) throw new Error('waited too long until ' + condition)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}
const main = async () => {
`

const EPILOGUE = `
}
fs.writeFileSync(1, JSON.stringify({ answer: await main() }))
`

export interface Ended {
  readonly code: number | null
  readonly signal: string | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end, whatever that is. */
export async function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { env, timeout: 50_000, killSignal: 'SIGKILL', maxBuffer: 2 ** 26 } as const
    const child = execFile(command, args, options, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, signal: child.signalCode, stdout, stderr })
    })
  })
}

/**
 * Runs the body of an async function in a process of its own, on dist/, and gives back what it returns. It has `given`,
 * `Queue`, `fsq`, `fs`, `path`, `execFileSync`, `spawnSync`, `errorOf`, `until` and `becomeNobody`.
 */
export async function inProgram<Answer>(body: string, options: ProgramOptions = {}): Promise<Answer> {
  const { given = null, flags = [], shell, namespace = false, nobody = false } = options
  const distribution = options.distribution ?? PROJECT
  const source = PRELUDE + body + EPILOGUE
  let command = [process.execPath, ...flags, '--input-type=module', '--eval', source]
  if (shell !== undefined) command = ['sh', '-c', `${shell}; exec "$@"`, 'sh', ...command]
  if (namespace === true) command = ['unshare', '--map-root-user', '--mount', ...command]
  if (namespace === 'processes') command = [...OWN_PROCESSES, ...command]
  const [file = '', ...args] = command
  const ended = await run(file, args, {
    ...process.env,
    ...options.env,
    FSQ_TEST_GIVEN: JSON.stringify(given),
    FSQ_TEST_INDEX: `file://${distribution}/dist/index.js`,
    FSQ_TEST_NOBODY: nobody ? '1' : '0',
  })
  if (ended.code !== 0 || ended.stdout === '') {
    throw new Error(`The program ended with ${ended.code ?? ended.signal}: ${ended.stderr}${ended.stdout}`)
  }
  return (JSON.parse(ended.stdout) as { answer: Answer }).answer
}
