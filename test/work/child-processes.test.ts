// queue.work(url, { processes }): real child processes, on dist/.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

import { afterEach, describe, expect, test } from '@jest/globals'

import { ClosingError, type FsqError } from '../../src/errors/classes.js'
import { Queue, type QueueOptions } from '../../src/queue.js'
import { setConst } from '../../src/settings.js'
import type { WorkerEvents } from '../../src/work/events.js'
import type { Worker } from '../../src/work/handle.js'
import type { RemoteItem } from '../../src/work/processes/messages.js'
import type { ProcessOptions } from '../../src/work/processes/options.js'
import type { WorkerState } from '../../src/work/journal.js'
import { Child, filesOf, isFree } from '../support/child.js'
import { type ShownError, checkError, inProgram, until } from '../support/queue.js'

type Events = WorkerEvents<RemoteItem>

const NAMES = [
  'started',
  'done',
  'retried',
  'postponed',
  'failed',
  'released',
  'stuck',
  'crashed',
  'state',
  'error',
] as const
const HANDLERS = path.resolve(import.meta.dirname, '../programs/handlers')

const open = new Set<Bench>()

afterEach(async () => {
  const benches = [...open]
  open.clear()
  for (const bench of benches) await bench.end()
})

/** A queue in a directory of its own, and the worker on it. */
class Bench {
  // Removed by end(), after the children have ended.
  readonly root = fs.mkdtempSync(path.join(os.tmpdir(), 'fsq-test-'))
  readonly log = path.join(this.root, 'log')
  readonly events: { [Name in keyof Events]: Events[Name][0][] } = Object.fromEntries(
    NAMES.map((name) => [name, []]),
  ) as never
  #queue: Queue | undefined
  worker: Worker<RemoteItem> | undefined

  constructor() {
    open.add(this)
  }

  get queue(): Queue {
    if (this.#queue === undefined) throw new Error('no queue')
    return this.#queue
  }

  async install(options: QueueOptions = {}): Promise<this> {
    this.#queue = await Queue.install('q', { root: this.root, ...options })
    return this
  }

  async add(...commands: string[]): Promise<string[]> {
    return this.queue.enqueueMany(
      commands.map((command) => ({ data: this.path('go'), args: command.split(' ') })),
    )
  }

  path(name: string): string {
    return path.join(this.root, name)
  }

  async work(options: Partial<ProcessOptions> = {}, module = 'by-argument.mjs'): Promise<Worker<RemoteItem>> {
    const worker = await this.queue.work(pathToFileURL(path.join(HANDLERS, module)), {
      processes: 2,
      env: {
        ...process.env,
        FSQ_TEST_LOG: this.log,
        FSQ_TEST_ROOT: this.root,
        FSQ_TEST_BROKEN: this.path('broken'),
        FSQ_TEST_WORD: 'crossed',
      },
      ...options,
    })
    for (const name of NAMES)
      worker.on(name, (event: unknown) => void (this.events[name] as unknown[]).push(event))
    this.worker = worker
    return worker
  }

  get states(): string[] {
    return this.events.state.map(({ state }) => state)
  }

  /** The processes of which the log tells. */
  get pids(): number[] {
    return [...new Set(this.#lines.map(([, , pid]) => Number(pid)))]
  }

  /** Resolves when all children are in the state. */
  async children(state: WorkerState): Promise<void> {
    await until(`all children are ${state}`, async () =>
      (await this.queue.workers()).every((worker) => worker.state === state),
    )
  }

  /** The items with a log. */
  get marks(): string[] {
    const directory = path.join(this.queue.path, 'meta/log')
    return fs.existsSync(directory) ? fs.readdirSync(directory) : []
  }

  get #lines(): string[][] {
    if (!fs.existsSync(this.log)) return []
    return fs
      .readFileSync(this.log, 'utf8')
      .split('\n')
      .filter(Boolean)
      .map((line) => line.split(' '))
  }

  async end(): Promise<void> {
    await this.queue.close({ force: true })
    await this.worker?.gone
    this.#checkOverlaps()
    for (const pid of this.pids) expect(isAlive(pid)).toBe(false)
    fs.rmSync(this.root, { recursive: true })
  }

  /** Two runs of one item overlap if the second begins while the process of the first one may still run it. */
  #checkOverlaps(): void {
    const running = new Map<string, string>()
    for (const [what, key = '', pid = ''] of this.#lines) {
      const holder = running.get(key)
      // A process that has died has ended no run. Whether it was dead by then is what crash marks tell.
      if (what === 'start' && holder === pid) throw new Error(`${key} overlaps itself`)
      if (what === 'start' && holder !== undefined && !this.#dead.has(Number(holder)))
        throw new Error(`${key} has run in ${holder} and in ${pid} at the same time`)
      if (what === 'start') running.set(key, pid)
      else running.delete(key)
    }
  }

  get #dead(): Set<number> {
    return new Set(this.events.error.map((error) => (error as { pid?: number }).pid ?? 0))
  }
}

async function bench(...commands: string[]): Promise<Bench> {
  const made = await new Bench().install()
  await made.add(...commands)
  return made
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

const many = (count: number, command: string): string[] => Array.from({ length: count }, () => command)

describe('working', () => {
  test('all children work, and the worker tells of all items', async () => {
    const made = await bench(...many(60, 'quick'))
    const worker = await made.work({ concurrency: 2 })
    await worker.idle()
    expect(worker.counters).toMatchObject({ started: 60, done: 60 })
    expect(await made.queue.counts()).toMatchObject({ waiting: 0, done: 60 })
    expect(made.pids).toHaveLength(2)
    expect(worker.running.size).toBe(0)
    const { started, done } = made.events
    expect(new Set(started.map(({ item }) => item))).toEqual(new Set(done.map(({ item }) => item)))
    const [first] = started
    expect(first?.item).toEqual({
      id: expect.any(String),
      key: expect.any(String),
      args: ['quick'],
      tries: 0,
      enqueuedAt: expect.any(Date),
      size: expect.any(Number),
    })
    expect(done[0]?.ms).toBeGreaterThan(0)
    expect((await made.queue.workers()).map(({ pid }) => pid).sort()).toEqual(made.pids.sort())
    await worker.close()
    expect(made.states).toEqual(['closing', 'closed'])
  })

  test('the outcomes of handlers, with errors as they were thrown', async () => {
    const made = await bench('throws', 'gone', 'notNow', 'throwsText')
    const worker = await made.work({ maxTries: 5 })
    await until('all have ended', () => worker.counters.failed === 3 && worker.counters.postponed === 1)
    const { retried, failed, postponed } = made.events
    // The module's own backoff: at once, and then never.
    expect(retried.map(({ due }) => due)).toEqual([undefined, undefined])
    expect(failed.map(({ reason }) => reason)).toEqual(['permanent', 'permanent', 'permanent'])
    expect(postponed[0]?.due.getTime()).toBeGreaterThan(Date.now() + 30_000)
    const thrown = (command: string): Error & { code?: string } =>
      failed.find(({ item }) => item?.args[0] === command)?.error as Error
    expect(thrown('throws')).toBeInstanceOf(Error)
    expect(thrown('throws')).toMatchObject({ name: 'TypeError', message: 'no luck', code: 'E_LUCK' })
    expect(thrown('throws').stack).toContain('by-argument.mjs')
    expect(thrown('throws').cause).toMatchObject({ name: 'RangeError', message: 'behind it' })
    expect(thrown('gone')).toMatchObject({ name: 'PermanentFailure', code: 'ERR_FSQ_PERMANENT_FAILURE' })
    expect(thrown('throwsText')).toBe('a text')
    // The same object tells of the next try.
    expect(retried[0]?.item.tries).toBe(1)
    expect(retried[0]?.try).toBe(1)
  })

  test.each([
    ['throwsCircle', '[object Object]'],
    ['throwsBigInt', '5'],
    ['throwsUnreadable', 'an error that cannot be read'],
  ])('%s: an error that JSON cannot hold ends no child', async (command, message) => {
    const made = await bench('waits', command)
    const worker = await made.work({ processes: 1, concurrency: 2, maxTries: 1 })
    await until('it has failed', () => worker.counters.failed === 1)
    expect(made.events.failed[0]?.error).toBeInstanceOf(Error)
    expect(made.events.failed[0]?.error).toMatchObject({ name: 'Error', message })
    fs.writeFileSync(made.path('go'), '')
    await until('the other one is done', () => worker.counters.done === 1)
    expect(worker.counters).toMatchObject({ started: 2, crashed: 0 })
    expect(made.events.error).toEqual([])
    expect(made.pids).toHaveLength(1)
  })

  test('an event that cannot be sent becomes an error, and the other events of its turn arrive', async () => {
    const made = await bench('throwsUnsendable', ...many(9, 'throwsText'))
    const worker = await made.work({ processes: 1, concurrency: 10, maxTries: 1 })
    await until('all have failed', () => worker.counters.failed === 10)
    expect(worker.running.size).toBe(0)
    expect(made.events.failed.filter(({ error }) => error === 'a text')).toHaveLength(9)
    const [error, ...others] = made.events.error
    expect(others).toEqual([])
    expect(error).toMatchObject({
      message: expect.stringMatching(/^The event 'failed' of the worker process \d+ cannot be sent/),
      cause: { name: 'RangeError', message: 'Invalid string length' },
    })
    expect(made.events.failed).toContainEqual(expect.objectContaining({ error }))
    expect(made.pids).toHaveLength(1)
  })

  test('the parent gets the arguments as the names of the items have them', async () => {
    const made = await new Bench().install()
    const queue = new Queue('q', { root: made.root, args: (value) => value as readonly string[] })
    await queue.enqueueMany([1, 2, 3].map((number) => ({ args: [String(number)] })))
    const worker = await queue.work(pathToFileURL(path.join(HANDLERS, 'parses-arguments.mjs')), {
      processes: 1,
      concurrency: 3,
    })
    const done: unknown[] = []
    const errors: unknown[] = []
    worker.on('done', ({ item }) => done.push(item.args))
    worker.on('error', (error) => errors.push(error))
    await worker.idle()
    expect(done.sort()).toEqual([['1'], ['2'], ['3']])
    expect(errors).toEqual([])
    await queue.close()
  })

  test('items of a typed queue are parsed in the children, by what their module exports', async () => {
    const made = await new Bench().install()
    const queue = new Queue('q', { root: made.root, body: (value: unknown) => value })
    await queue.enqueue({ json: { to: 'a@example.org' } })
    await queue.enqueue({ json: { to: 1 } })
    const worker = await queue.work(pathToFileURL(path.join(HANDLERS, 'typed.mjs')), { processes: 1 })
    const failed: unknown[] = []
    worker.on('failed', ({ reason, error }) => failed.push(reason, (error as Error).message))
    await worker.idle()
    expect(failed).toEqual(['invalid', expect.stringContaining('to is no text')])
    expect(await queue.counts()).toMatchObject({ done: 1, failed: 1 })
    await queue.close()
  })

  test('idle() waits for items that handlers add for other children', async () => {
    const made = await bench('chain 30')
    const worker = await made.work({ processes: 3 })
    let idles = 0
    worker.on('idle', () => idles++)
    await worker.idle()
    expect(worker.counters.done).toBe(30)
    expect(idles).toBe(1)
    await made.add('quick')
    await until('it is idle again', () => idles === 2)
    expect(worker.counters.done).toBe(31)
    await expect(worker.idle({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toThrow('enough')
  })

  test('settings, environment and options of Node cross', async () => {
    setConst('FSQ_MAX_TRIES', 2)
    try {
      const made = await new Bench().install({ queue: 'in', charset: 'latin-1', delimiter: '-' })
      await made.add(`tells ${made.path('told')}`, 'throws')
      const worker = await made.work({ execArgv: ['--no-warnings'], backoff: 0 })
      await worker.idle()
      expect(JSON.parse(fs.readFileSync(made.path('told'), 'utf8'))).toEqual({
        env: 'crossed',
        execArgv: ['--no-warnings'],
      })
      expect(worker.counters).toMatchObject({ done: 1, retried: 1, failed: 1 })
    } finally {
      setConst('FSQ_MAX_TRIES', undefined)
    }
  })

  test('the parent is a program in a command line', async () => {
    const made = await bench('quick')
    const [fsq, handler] = ['../../dist/index.js', '../programs/handlers/by-argument.mjs'].map(
      (file) => pathToFileURL(path.resolve(import.meta.dirname, file)).href,
    )
    const program = `
      import { Queue } from '${fsq}'
      const queue = new Queue('q', { root: '${made.root}' })
      const worker = await queue.work(new URL('${handler}'), { processes: 1 })
      await worker.idle()
      await queue.close()`
    const env = { ...process.env, FSQ_TEST_LOG: made.log }
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--no-warnings', '--input-type=module', '-e', program],
      { env, encoding: 'utf8' },
    )
    expect([status, stderr]).toEqual([0, ''])
    expect(await made.queue.counts()).toMatchObject({ done: 1 })
  })

  test('pause(), resume(), and a concurrency that changes', async () => {
    const made = await bench('waits', 'waits', 'waits', 'waits')
    const worker = await made.work({ processes: 1, paused: true })
    expect(worker.state).toBe('paused')
    worker.resume()
    expect(worker.state).toBe('running')
    await until('one runs', () => worker.running.size === 1)
    worker.concurrency = 3
    await until('three run', () => worker.running.size === 3)
    expect(worker.concurrency).toBe(3)
    worker.pause()
    await made.children('paused')
    fs.writeFileSync(made.path('go'), '')
    await until('they have ended', () => worker.running.size === 0)
    expect(worker.counters).toMatchObject({ started: 3, done: 3 })
    worker.resume()
    await worker.idle()
    expect(worker.counters.done).toBe(4)
    expect(made.states).toEqual(['running', 'paused', 'running'])
  })

  test('the states of the queue', async () => {
    const made = await bench()
    const worker = await made.work()
    await made.queue.down()
    await until('it is down', () => worker.state === 'down')
    await made.queue.up()
    await until('it runs', () => worker.state === 'running')
    expect(made.states).toEqual(['down', 'running'])
  })
})

describe('a missing queue', () => {
  test('the state stays `missing` while its children die and cannot open the queue', async () => {
    const made = await bench('quick')
    const worker = await made.work({ processes: 1 })
    await worker.idle()
    const [pid] = made.pids
    if (pid === undefined) throw new Error('no child')
    fs.renameSync(made.queue.path, made.path('away'))
    await until('it is missing', () => worker.state === 'missing')
    process.kill(pid, 'SIGKILL')
    const failed = (): boolean =>
      made.events.error.filter((error) => /cannot work: There is no queue/.test((error as Error).message))
        .length >= 2
    await until('two more children have failed', failed)
    expect(worker.state).toBe('missing')
    expect(made.states).toEqual(['missing'])
    fs.renameSync(made.path('away'), made.queue.path)
    await made.add('quick')
    await until('it works again', () => worker.counters.done === 2)
    expect(made.states).toEqual(['missing', 'running'])
  })

  test('the first child that cannot open the queue tells that it is missing', async () => {
    const made = await bench('quick')
    const worker = await made.work({ processes: 1, paused: true })
    let pid: number | undefined
    await until('a child is paused', async () => {
      const [child] = await made.queue.workers()
      if (child?.state === 'paused') pid = child.pid
      return pid !== undefined
    })
    process.kill(pid ?? Number.NaN, 'SIGKILL')
    fs.renameSync(made.queue.path, made.path('away'))
    worker.resume()
    await until('it is missing', () => worker.state === 'missing')
    expect(made.events.state.at(-1)).toMatchObject({ error: { code: 'ERR_FSQ_QUEUE_MISSING' } })
    fs.renameSync(made.path('away'), made.queue.path)
    await until('it works', () => worker.counters.done === 1)
    expect(made.states).toEqual(['running', 'missing', 'running'])
  })
})

describe('a module that cannot work', () => {
  test.each([
    ['fails-at-import.mjs', /cannot import '.*fails-at-import\.mjs': the database is away/],
    ['is-not-there.mjs', /cannot import '.*is-not-there\.mjs': Cannot find module/],
    ['no-handler.mjs', /cannot use '.*': its default export is no function\. Export the handler as default/],
  ])('%s: work() rejects, and nothing was claimed', async (module, message) => {
    const made = await bench('quick')
    await expect(made.work({}, module)).rejects.toMatchObject({
      name: 'WorkerProcessError',
      code: 'ERR_FSQ_WORKER_PROCESS',
      message: expect.stringMatching(message),
      pid: expect.any(Number),
    })
    expect(await made.queue.workers()).toEqual([])
    expect(await made.queue.counts()).toMatchObject({ waiting: 1 })
  })

  test('fails later: each start is an error event, and the children work once it can be imported', async () => {
    const made = await bench('break')
    const worker = await made.work({ processes: 1, maxCrashes: 0 }, 'fails-while-file.mjs')
    await until('it has failed twice', () => made.events.error.length >= 3)
    expect(made.events.error[0]).toMatchObject({
      exitCode: 3,
      message: expect.stringContaining('break'),
    })
    expect(made.events.error[1]).toMatchObject({ message: expect.stringMatching(/: broken$/) })
    for await (const item of made.queue.scan()) await item.discard()
    fs.rmSync(made.path('broken'))
    await made.add('go on')
    await until('it works again', () => worker.counters.done === 1)
  })
})

describe('children that die', () => {
  test.each([
    ['killsItself', { signal: 'SIGKILL' }],
    ['exits', { exitCode: 7 }],
  ])(
    '%s: the child is replaced, the others go on, and the item ends in fail/ as crashed',
    async (command, how) => {
      const made = await bench(...many(10, 'quick'), command, ...many(10, 'quick'))
      const worker = await made.work({ maxCrashes: 2 })
      await until('all have ended', () => worker.counters.done === 20 && worker.counters.failed === 1)
      // Perhaps once more, if a child takes the item before another one has marked it.
      expect(made.events.error.length).toBeGreaterThanOrEqual(2)
      expect(made.events.error[0]).toMatchObject({ name: 'WorkerProcessError', ...how })
      expect((made.events.error[0] as FsqError).message).toContain(command)
      expect(made.events.failed[0]).toMatchObject({ reason: 'crashed', item: { args: [command] } })
      const { id = '' } = made.events.failed[0] ?? {}
      const attempts = await made.queue.attempts(id)
      expect(attempts.filter(({ outcome }) => outcome === 'crashed').length).toBeGreaterThanOrEqual(2)
      // A child that has made a mark may die itself before it can tell.
      expect(worker.counters.crashed).toBe(made.events.crashed.length)
      expect(filesOf(made.queue.path, 'fail')).toHaveLength(1)
    },
  )

  test('a message that comes after the end of its child does not reach the next child', async () => {
    const made = await new Bench().install()
    const file = made.path('late')
    await made.add(`leavesHeir ${file}`)
    const worker = await made.work({ processes: 1 })
    await until('the child is dead', () => made.events.error.length === 1)
    const { done } = worker.counters
    await made.add('waits')
    await until('the next child works', () => worker.counters.started === 2)
    fs.writeFileSync(file, '')
    const heir = Number(fs.readFileSync(`${file}.pid`, 'utf8'))
    await until('the message is sent', () => !isAlive(heir))
    fs.writeFileSync(made.path('go'), '')
    await worker.idle()
    expect(worker.counters.done).toBe(done + 1)
  })

  test('messages that the module sends to the parent of its process are left alone', async () => {
    const made = await bench('talks', 'quick')
    const worker = await made.work({ processes: 1 })
    await until('both are done', () => worker.counters.done === 2)
    expect(worker.state).toBe('running')
    expect(made.events.error).toEqual([])
  })

  test('SIGTERM: the child ends its handlers and is replaced, which is no error', async () => {
    const made = await bench('waits')
    const worker = await made.work({ processes: 1 })
    await until('it runs', () => made.pids.length === 1)
    const [pid] = made.pids
    if (pid === undefined) throw new Error('no child')
    process.kill(pid, 'SIGTERM')
    fs.writeFileSync(made.path('go'), '')
    await until('it is gone', () => !isAlive(pid))
    await made.add('quick')
    await until('the next one works', () => worker.counters.done === 2)
    expect(made.events.error).toEqual([])
    expect(made.pids).toHaveLength(2)
  })
})

describe('timeouts', () => {
  test.each(['loop', 'deaf'])(
    '%s: killed after timeout + killAfter, marked, and at last in fail/ as crashed',
    async (command) => {
      const made = await bench(command, 'quick')
      const began = performance.now()
      const worker = await made.work({ timeout: 200, killAfter: 300, maxCrashes: 2 })
      await until('it has failed', () => worker.counters.failed === 1)
      expect(performance.now() - began).toBeGreaterThan(2 * 500)
      // Perhaps once more, if a child takes the item before another one has marked it.
      expect(made.events.error.length).toBeGreaterThanOrEqual(2)
      const { message } = made.events.error[0] as FsqError
      expect(message).toMatch(
        new RegExp(`was killed, because the handler of the item '.*${command}' has run for`),
      )
      const [item] = made.events.failed
      expect(item).toMatchObject({ reason: 'crashed' })
      expect(worker.counters.done).toBe(1)
      const attempts = await made.queue.attempts(item?.id ?? '')
      expect(attempts.filter(({ outcome }) => outcome === 'crashed').length).toBeGreaterThanOrEqual(2)
    },
  )

  test('a child that has not even told that a handler runs is killed, too', async () => {
    const made = await bench('quick')
    const worker = await made.work({ processes: 1, timeout: 100, killAfter: 100 })
    await worker.idle()
    const [pid] = made.pids
    if (pid === undefined) throw new Error('no child')
    process.kill(pid, 'SIGSTOP')
    await until('it is gone', () => !isAlive(pid))
    await until('that is an error', () => made.events.error.length === 1)
    expect((made.events.error[0] as FsqError).message).toMatch(/was killed, because a handler has run for/)
  })

  test('a handler that ends when its signal is aborted is not killed', async () => {
    const made = await bench('untilAborted')
    const worker = await made.work({ timeout: 50, killAfter: 5000 })
    await until('it has failed', () => worker.counters.failed === 1)
    expect(made.events.error).toEqual([])
    expect(made.events.failed[0]?.error).toMatchObject({ name: 'TimeoutError' })
  })

  test('a handler without a timeout may compute for as long as it likes', async () => {
    const made = await bench('loop', 'quick')
    const worker = await made.work({ killAfter: 10, grace: 0 })
    await until('the other one is done', () => worker.counters.done === 1)
    expect(made.events.error).toEqual([])
  })
})

describe('close()', () => {
  test('waits for handlers that end', async () => {
    const made = await bench('waits', 'waits')
    const worker = await made.work()
    await until('both run', () => worker.running.size === 2)
    const closing = worker.close()
    expect(worker.state).toBe('closing')
    expect(worker.close()).toBe(closing)
    await made.children('closing')
    await made.add('quick')
    fs.writeFileSync(made.path('go'), '')
    expect(await closing).toEqual({ left: [] })
    await worker.gone
    expect(worker.counters).toMatchObject({ started: 2, done: 2 })
    expect(await made.queue.counts()).toMatchObject({ waiting: 1, done: 2 })
  })

  test('after the grace the signals are aborted, and the items go back untried', async () => {
    const made = await bench('untilAborted', 'untilAborted')
    const worker = await made.work({ grace: 60_000 })
    await until('both run', () => worker.running.size === 2)
    void worker.close()
    expect(await worker.close({ grace: 20 })).toEqual({ left: [] })
    expect(made.events.released).toHaveLength(2)
    expect(filesOf(made.queue.path, 'queue').map(({ name }) => name)).toEqual(
      made.events.started.map(({ item }) => item.id).sort(),
    )
  })

  test.each(['deaf', 'loop'])(
    '%s: resolves a second after the grace; the item stays claimed until its process ends',
    async (command) => {
      const made = await bench(command)
      const worker = await made.work({ processes: 1, timeout: 60_000 })
      await until('it runs', () => worker.running.size === 1)
      const began = performance.now()
      const { left } = await worker.close({ grace: 50 })
      expect(performance.now() - began).toBeGreaterThan(1000)
      expect(performance.now() - began).toBeLessThan(3000)
      expect(left.map(({ args }) => args)).toEqual([[command]])
      expect(worker.state).toBe('closed')
      const [file] = filesOf(made.queue.path, 'queue')
      expect(isFree(file?.path ?? '')).toBe(false)
      // Kills the child.
      await made.queue.close({ force: true })
      await worker.gone
      expect(isFree(file?.path ?? '')).toBe(true)
      expect(made.marks).toEqual([])
    },
  )

  test('a handler that is left over ends, and its process with it', async () => {
    const made = await bench('waits')
    const worker = await made.work({ processes: 1 })
    await until('it runs', () => worker.running.size === 1)
    expect((await worker.close({ grace: 0 })).left).toHaveLength(1)
    fs.writeFileSync(made.path('go'), '')
    await worker.gone
    expect(worker.counters.done).toBe(1)
    expect(filesOf(made.queue.path, 'done')).toHaveLength(1)
  })

  test('an item that cannot be finished is free when the worker has closed: its process ends', async () => {
    const made = await bench('waits')
    const worker = await made.work({ processes: 1 })
    await until('it runs', () => worker.running.size === 1)
    fs.rmdirSync(path.join(made.queue.path, 'done'))
    fs.writeFileSync(made.path('go'), '')
    await until('it is unfinished', () => worker.state === 'unfinished')
    expect((await worker.close({ grace: 0 })).left).toHaveLength(1)
    await worker.gone
    const [file] = filesOf(made.queue.path, 'queue')
    expect(isFree(file?.path ?? '')).toBe(true)
    expect(made.marks).toEqual([])
  })

  test('a signal closes, also while the children start', async () => {
    const made = await bench('quick')
    const stop = new AbortController()
    const working = made.work({ signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(working).rejects.toThrow('enough')
    const closing = made.work()
    await made.queue.close()
    await expect(closing).rejects.toMatchObject({ code: 'ERR_FSQ_QUEUE_CLOSED' })
  })
})

describe('options', () => {
  const handler = pathToFileURL(path.join(HANDLERS, 'by-argument.mjs'))
  const wrong: readonly (readonly [string, object, RegExp])[] = [
    ['processes', { processes: 0 }, /processes is 0/],
    ['killAfter', { killAfter: -1 }, /killAfter is -1/],
    ['execArgv', { execArgv: 'x' }, /execArgv is 'x'/],
    ['env', { env: 1 }, /env is 1/],
    ['backoff', { backoff: () => 1 }, /a function cannot be passed .* Export it from the handler's module/],
    ['concurrency', { concurrency: 0 }, /concurrency is 0/],
    ['nothing', { nothing: 1 }, /no option 'nothing'/],
    ['timeout', { timeout: -1 }, /timeout is -1/],
    ['keepFailed', { keepFailed: false }, /keepFailed is false/],
  ]
  test.each(wrong)('%s', async (setting, options, message) => {
    const made = await bench()
    const given = { processes: 1, ...options } as ProcessOptions
    await expect(made.queue.work(handler, given)).rejects.toMatchObject({
      code: 'ERR_FSQ_SETTING',
      setting,
      message: expect.stringMatching(message),
    })
  })

  test('a module and processes go together', async () => {
    const made = await bench()
    await expect(made.queue.work(handler, {} as ProcessOptions)).rejects.toMatchObject({
      setting: 'processes',
      message: `processes is undefined, expected a whole number of 1 or more. '${handler.href}' is a module, which runs in child processes`,
    })
    const options = { processes: 2 } as object
    await expect(made.queue.work(() => undefined, options)).rejects.toMatchObject({ setting: 'handler' })
    await expect(made.queue.work('./handler.js' as never)).rejects.toMatchObject({ setting: 'handler' })
  })

  test('a module without the parsers of its queue', async () => {
    const made = await bench()
    const queue = new Queue('q', { root: made.root, body: (value: unknown) => value })
    await expect(queue.work(handler, { processes: 1 })).rejects.toMatchObject({
      code: 'ERR_FSQ_WORKER_PROCESS',
      message: expect.stringMatching(/does not export the parser 'body' .* Export .* as body and args/s),
    })
    await queue.close()
  })

  test('a missing queue', async () => {
    const made = await bench()
    const queue = new Queue('none', { root: made.root })
    await expect(queue.work(handler, { processes: 1 })).rejects.toMatchObject({
      code: 'ERR_FSQ_QUEUE_MISSING',
    })
  })
})

describe('a parent in a process of its own', () => {
  test('SIGKILL: the children end, the items are free and unmarked', async () => {
    const made = await bench('untilAborted', 'untilAborted')
    const options = { processes: 2, grace: 10 }
    const parent = new Child(
      'work-in-processes.mjs',
      { root: made.root, options },
      { env: { FSQ_TEST_LOG: made.log } },
    )
    await until('both run', () => made.pids.length === 2)
    parent.kill('SIGKILL')
    await until('the children are gone', () => !made.pids.some(isAlive))
    for (const { path: file } of filesOf(made.queue.path, 'queue')) expect(isFree(file)).toBe(true)
    expect(fs.readdirSync(path.join(made.queue.path, 'meta/workers'))).toEqual([])
    expect(made.marks).toEqual([])
  })

  test('SIGKILL while a handler computes without a pause: its process does not stay', async () => {
    const made = await bench('loop')
    const options = { processes: 1, timeout: 100, killAfter: 1000, grace: 0 }
    const parent = new Child(
      'work-in-processes.mjs',
      { root: made.root, options },
      { env: { FSQ_TEST_LOG: made.log } },
    )
    await until('it runs', () => made.pids.length === 1)
    parent.kill('SIGKILL')
    await until('the child is gone', () => !made.pids.some(isAlive))
  })

  test('Ctrl-C reaches all processes: the parent closes, and the handlers end', async () => {
    const made = await bench('waits', 'waits')
    const options = { processes: 2, closeOn: ['SIGINT'] }
    const parent = new Child(
      'work-in-processes.mjs',
      { root: made.root, options },
      { env: { FSQ_TEST_LOG: made.log } },
    )
    await until('both run', () => made.pids.length === 2 && parent.said('ready').length > 0)
    for (const pid of [...made.pids, parent.pid]) process.kill(pid, 'SIGINT')
    await until('it closes', () => parent.said('state').length === 1)
    fs.writeFileSync(made.path('go'), '')
    expect(await parent.ended).toEqual({ code: 0, signal: null })
    expect(parent.said('done')).toHaveLength(2)
    expect(parent.said('error')).toEqual([])
  })

  test('a service manager sends SIGTERM to all processes: no handler is cut off', async () => {
    const made = await bench('waits', 'waits')
    const options = { processes: 2, closeOn: ['SIGTERM'] }
    const parent = new Child(
      'work-in-processes.mjs',
      { root: made.root, options },
      { env: { FSQ_TEST_LOG: made.log } },
    )
    await until('both run', () => made.pids.length === 2 && parent.said('ready').length > 0)
    for (const pid of [...made.pids, parent.pid]) process.kill(pid, 'SIGTERM')
    await until('it closes', () => parent.said('state').length === 1)
    fs.writeFileSync(made.path('go'), '')
    expect(await parent.ended).toEqual({ code: 0, signal: null })
    expect(parent.said('done')).toHaveLength(2)
    expect(parent.said('error')).toEqual([])
  })

  test('a process that has inherited the channel of a dead child does not keep the parent alive', async () => {
    const made = await new Bench().install()
    const file = made.path('late')
    await made.add(`leavesHeir ${file}`)
    const parent = new Child(
      'work-in-processes.mjs',
      { root: made.root, options: { processes: 1, closeOn: ['SIGTERM'] } },
      { env: { FSQ_TEST_LOG: made.log } },
    )
    await until('the child is dead', () => parent.said('error').length === 1)
    const heir = Number(fs.readFileSync(`${file}.pid`, 'utf8'))
    parent.kill('SIGTERM')
    expect(await parent.ended).toEqual({ code: 0, signal: null })
    expect(isAlive(heir)).toBe(true)
  })

  test('a signal that closes the worker while the module loads: work() says so', async () => {
    const made = await bench()
    const module = made.path('loads.mjs')
    fs.writeFileSync(
      module,
      "process.kill(process.ppid, 'SIGTERM')\nawait new Promise((resolve) => setTimeout(resolve, 60_000))\n",
    )
    const error = await inProgram<ShownError>(
      `
      const queue = new Queue('q', { root: given.root })
      const options = { processes: 1, closeOn: ['SIGTERM'], execArgv: [] }
      return errorOf(() => queue.work(new URL(given.module), options))`,
      { given: { root: made.root, module: pathToFileURL(module).href } },
    )
    checkError(error, {
      type: ClosingError,
      says: /^The worker was closed before .* had loaded the module\. No item/,
    })
  })
})
