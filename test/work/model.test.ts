// Random sequences of what can happen to the items of queue.work(), against a model of them.
//
// FSQ_MODEL_RUNS is the number of sequences and FSQ_MODEL_SEED what they are made from. CI takes the same few each time:
//
//     FSQ_MODEL_RUNS=500 FSQ_MODEL_SEED=$RANDOM npm test -- test/work/model.test.ts
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'

import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { layoutOf } from '../../src/directory/layout.js'
import { PermanentFailure, RetryLater } from '../../src/errors/classes.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { readLog } from '../../src/meta/log.js'
import { itemKey } from '../../src/name/item-name.js'
import type { Queue } from '../../src/queue.js'
import type { Worker } from '../../src/work/handle.js'
import { leaveDeadWorker, openGuard } from '../meta/dead-workers.js'
import { itemName, names, pathOf, plant, useTestBed } from '../support/queue.js'

const RUNS = Number(process.env['FSQ_MODEL_RUNS'] ?? 25)
const SEED = Number(process.env['FSQ_MODEL_SEED'] ?? 1)
const MAX_TRIES = 3
const MAX_CRASHES = 2
const CONCURRENCY = 3
const HOUR = 3_600_000
const PLACES = ['queue', 'done', 'fail', 'tmp'] as const

const ENDS = [
  ...['returns', 'throws', 'throws', 'permanent', 'later', 'timeout'],
  ...['done', 'done, then throws', 'fail', 'retry', 'release', 'discard'],
] as const

type Step =
  | { readonly kind: 'enqueue' | 'enqueue delayed' | 'plant expired' | 'plant malformed' }
  | { readonly kind: 'pause' | 'resume' | 'down' | 'up' | 'restart' | 'concurrency' }
  | { readonly kind: 'redrive' | 'prune done' | 'prune failed' | 'stats' | 'delete meta' }
  | { readonly kind: 'end'; readonly pick: number; readonly how: string }
  | { readonly kind: 'due'; readonly pick: number }
  | { readonly kind: 'death'; readonly picks: readonly number[] }

const always = (...kinds: Exclude<Step['kind'], 'end' | 'due' | 'death'>[]): fc.Arbitrary<Step> =>
  fc.constantFrom(...kinds).map((kind) => ({ kind }))
const pick = fc.nat(20)

const STEP: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: always('enqueue') },
  { weight: 3, arbitrary: always('enqueue delayed', 'plant expired', 'plant malformed') },
  {
    weight: 14,
    arbitrary: fc.record({ kind: fc.constant('end' as const), pick, how: fc.constantFrom(...ENDS) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('due' as const), pick }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('death' as const),
      picks: fc.array(pick, { minLength: 1, maxLength: 3 }),
    }),
  },
  { weight: 3, arbitrary: always('pause', 'resume', 'resume', 'restart', 'concurrency') },
  { weight: 1, arbitrary: always('down', 'up', 'up') },
  { weight: 4, arbitrary: always('redrive', 'prune done', 'prune failed', 'stats', 'delete meta') },
)

/** What the model knows of an item. `gone`: discarded or pruned. */
interface Known {
  readonly key: string
  /** Its name, which has its tries. */
  readonly id: string
  tries: number
  state: 'waiting' | 'working' | 'done' | 'failed' | 'gone'
  isDelayed: boolean
  readonly fault: 'expired' | 'malformed' | undefined
  /** Its marks that count. */
  alone: number
  together: number
  /** It had marks when the worker may have claimed it, so the worker may let it wait for the others. */
  maySuspect: boolean
  /** The outcomes in its log. */
  log: ('retried' | 'failed' | 'crashed')[]
}

interface Running {
  readonly item: WorkItem
  readonly signal: AbortSignal
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

class Run {
  readonly #known = new Map<string, Known>()
  readonly #running = new Map<string, Running>()
  readonly #errors: unknown[] = []
  /** What cannot be: found while a handler starts. */
  readonly #wrong: string[] = []
  readonly #queue: Queue
  #worker: Worker | undefined
  #isPaused = false
  #isDown = false
  #concurrency = CONCURRENCY
  #expected = { started: 0, done: 0, retried: 0, failed: 0, postponed: 0 }
  #expectedErrors = 0
  #serial = 0

  constructor(queue: Queue) {
    this.#queue = queue
  }

  get worker(): Worker {
    if (this.#worker === undefined) throw new Error('not begun')
    return this.#worker
  }

  async begin(): Promise<void> {
    this.#expected = { started: 0, done: 0, retried: 0, failed: 0, postponed: 0 }
    this.#worker = await this.#queue.work(
      (item, { signal }) =>
        new Promise<void>((resolve, reject) => {
          this.#start({ item, signal, resolve, reject })
        }),
      {
        concurrency: this.#concurrency,
        maxCrashes: MAX_CRASHES,
        maxTries: MAX_TRIES,
        ttl: 86_400,
        timeout: 3,
        backoff: (tries) => (tries === 0 ? 0 : HOUR),
        paused: this.#isPaused,
      },
    )
    this.#worker.on('error', (error) => this.#errors.push(error))
    this.#worker.on('report', () => undefined)
  }

  async take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'enqueue':
        return this.#add(this.#queue.enqueueSync(null, [String(this.#serial++)]))
      case 'enqueue delayed':
        return this.#add(this.#queue.enqueueSync(null, [String(this.#serial++)], { delay: HOUR }), true)
      case 'plant expired':
        return this.#plant(itemName({ args: ['old'], entropy: this.#serial++ }), 'expired')
      case 'plant malformed':
        return this.#plant(`malformed ${this.#serial++}`, 'malformed')
      case 'pause':
        this.#isPaused = true
        return this.worker.pause()
      case 'resume':
        this.#isPaused = false
        return this.worker.resume()
      case 'concurrency':
        this.#concurrency = (this.#concurrency % CONCURRENCY) + 1
        this.worker.concurrency = this.#concurrency
        return
      case 'down':
        this.#isDown = true
        return this.#queue.down()
      case 'up':
        if (this.#isDown) await this.#queue.up()
        this.#isDown = false
        return
      case 'restart':
        return this.#restart()
      case 'redrive':
        return this.#redrive()
      case 'prune done':
        return this.#prune('done')
      case 'prune failed':
        return this.#prune('failed')
      case 'stats':
        return this.#checkStats()
      case 'delete meta':
        fs.rmSync(path.join(this.#queue.path, 'meta'), { recursive: true, force: true })
        for (const item of this.#known.values()) Object.assign(item, { alone: 0, together: 0, log: [] })
        return
      case 'due':
        return this.#makeDue(step.pick)
      case 'death':
        return this.#die(step.picks)
      case 'end':
        return this.#end(step.pick, step.how)
    }
  }

  /** Waits until the worker has done what it can do, and compares all that there is with the model. */
  async check(): Promise<void> {
    const deadline = Date.now() + 10_000
    while (!this.#isQuiet() || !this.#isCounted()) {
      if (Date.now() > deadline)
        throw new Error(
          `the worker does not go on, in state ${this.worker.state}: ${this.#describe()}\n` +
            `counters: ${JSON.stringify([this.worker.counters, this.#expected])}`,
        )
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(this.#wrong).toEqual([])
    expect(this.#errors).toHaveLength(this.#expectedErrors)
    this.#checkPlaces()
    for (const { key, state, log } of this.#known.values())
      if (state !== 'gone') expect({ key, log: this.#logOf(key) }).toEqual({ key, log })
  }

  async finish(): Promise<void> {
    await this.take({ kind: 'up' })
    await this.take({ kind: 'resume' })
    while (this.#running.size > 0) {
      await this.#end(0, 'returns')
      await this.check()
    }
    await this.worker.close()
    const workers = path.join(this.#queue.path, 'meta', 'workers')
    expect(fs.existsSync(workers) ? fs.readdirSync(workers) : []).toEqual([])
  }

  async end(): Promise<void> {
    for (const { resolve } of this.#running.values()) resolve()
    await this.#queue.close({ force: true })
  }

  #add(id: string, isDelayed = false, fault?: 'expired' | 'malformed'): void {
    const key = fault === 'malformed' ? id : itemKey(id, '%')
    this.#known.set(key, {
      ...{ key, tries: 0, state: 'waiting', isDelayed, fault },
      ...{ alone: 0, together: 0, maySuspect: false, log: [] },
      get id() {
        return fault === 'malformed' ? id : withTries(id, this.tries)
      },
    })
  }

  #plant(name: string, fault: 'expired' | 'malformed'): void {
    this.#add(name, false, fault)
    plant(this.#queue, name)
  }

  #all(state: Known['state']): Known[] {
    return [...this.#known.values()].filter((item) => item.state === state)
  }

  #start(running: Running): void {
    const { item } = running
    const known = this.#known.get(item.key)
    this.#expected.started++
    if (known === undefined) {
      this.#wrong.push(`${item.id} is unknown`)
      return
    }
    if (known.state !== 'waiting') this.#wrong.push(`${item.id} runs, and was ${known.state}`)
    if (known.isDelayed) this.#wrong.push(`${item.id} runs, and is not due`)
    if (known.fault !== undefined) this.#wrong.push(`${item.id} runs, and is ${known.fault}`)
    if (isCrashed(known)) this.#wrong.push(`${item.id} runs in spite of its marks`)
    if (known.tries !== item.tries) this.#wrong.push(`${item.id} has had ${known.tries} tries`)
    if (known.alone + known.together > 0 && this.#running.size > 0)
      this.#wrong.push(`${item.id} does not run alone`)
    if (this.#running.size >= CONCURRENCY) this.#wrong.push(`${item.id} has no place`)
    known.state = 'working'
    this.#running.set(item.key, running)
  }

  async #end(number: number, how: string): Promise<void> {
    const all = [...this.#running.values()]
    const running = all[number % all.length]
    if (running === undefined) return
    const { item, signal, resolve, reject } = running
    const known = this.#known.get(item.key) as Known
    if (how === 'timeout' && !signal.aborted)
      await new Promise((aborted) => signal.addEventListener('abort', aborted))
    this.#running.delete(item.key)
    this.#expect(known, how)
    switch (how) {
      case 'returns':
        resolve()
        break
      case 'throws':
        reject(new Error('no luck'))
        break
      case 'timeout':
        reject(signal.reason)
        break
      case 'permanent':
        reject(new PermanentFailure('never'))
        break
      case 'later':
        reject(new RetryLater({ after: HOUR }))
        break
      case 'done, then throws':
        await item.done()
        reject(new Error('after it was done'))
        break
      default:
        await item[how as 'done' | 'fail' | 'retry' | 'release' | 'discard']()
        resolve()
    }
    while (this.worker.running.has(item)) await new Promise((later) => setImmediate(later))
  }

  /** Says in advance what the end of a run makes of its item: the item may run again before the caller knows. */
  #expect(known: Known, how: string): void {
    known.maySuspect = known.alone + known.together > 0
    const isLast = known.tries + 1 >= MAX_TRIES
    switch (how) {
      case 'done, then throws':
        this.#expectedErrors++
        known.state = 'done'
        this.#expected.done++
        break
      case 'returns':
      case 'done':
        known.state = 'done'
        this.#expected.done++
        break
      case 'discard':
        known.state = 'gone'
        this.#expected.done++
        break
      case 'release':
        known.state = 'waiting'
        break
      case 'later':
        known.state = 'waiting'
        known.isDelayed = true
        this.#expected.postponed++
        break
      case 'permanent':
      case 'fail':
        known.state = 'failed'
        this.#expected.failed++
        if (how === 'permanent') known.log.push('failed')
        break
      default:
        known.state = isLast ? 'failed' : 'waiting'
        this.#expected[isLast ? 'failed' : 'retried']++
        if (how !== 'retry') known.log.push(isLast ? 'failed' : 'retried')
        known.isDelayed = !isLast && how !== 'retry' && known.tries > 0
        if (!isLast) known.tries++
    }
  }

  async #restart(): Promise<void> {
    const running = [...this.#running.values()]
    this.#running.clear()
    for (const { item, signal, reject } of running) {
      const known = this.#known.get(item.key) as Known
      known.maySuspect = known.alone + known.together > 0
      const whenAborted = (): void => {
        // The timeout may have come before.
        if (!this.worker.running.has(item)) return
        known.state = 'waiting'
        reject(new Error('aborted'))
      }
      if (signal.aborted) setImmediate(whenAborted)
      else signal.addEventListener('abort', () => setImmediate(whenAborted))
    }
    const { left } = await this.worker.close({ grace: 0 })
    expect(left).toEqual([])
    await this.begin()
  }

  /** Whether an item may move to fail/ at any moment, without having run. */
  #mayMove(): boolean {
    this.#notice()
    return this.#all('waiting').some((item) => item.fault !== undefined || isCrashed(item))
  }

  async #redrive(): Promise<void> {
    if (this.#mayMove()) return
    const failed = this.#all('failed').filter(({ fault }) => fault !== 'malformed')
    for (const item of failed)
      Object.assign(item, { state: 'waiting', tries: 0, alone: 0, together: 0, isDelayed: false })
    expect(await this.#queue.redrive('all')).toEqual({ moved: failed.length, gone: 0 })
  }

  async #prune(state: 'done' | 'failed'): Promise<void> {
    if (this.#mayMove()) return
    const items = this.#all(state).filter(({ fault }) => fault !== 'malformed')
    const { removed } = await this.#queue.prune({ [state]: { count: 0 } })
    expect(removed).toBeGreaterThanOrEqual(items.length)
    for (const item of this.#all(state)) if (!this.#placesOf(item.id).includes(state)) item.state = 'gone'
    for (const item of items) expect(item.state).toBe('gone')
  }

  async #checkStats(): Promise<void> {
    if (this.#mayMove()) return
    const { waiting, working = 0, delayed, done, failed } = await this.#queue.stats()
    const free = this.#all('waiting').filter(({ fault }) => fault !== 'malformed')
    expect(waiting + working + delayed).toBe(free.length + this.#all('working').length)
    expect(delayed).toBe(free.filter(({ isDelayed }) => isDelayed).length)
    expect(done.total).toBe(this.#all('done').length)
    expect(failed.total).toBe(this.#all('failed').length)
  }

  #makeDue(number: number): void {
    const delayed = this.#all('waiting').filter(({ isDelayed }) => isDelayed)
    const item = delayed[number % delayed.length]
    if (item === undefined) return
    item.isDelayed = false
    fs.utimesSync(pathOf(this.#queue, 'queue', item.id), 0, 0)
  }

  /** A worker has died with these items in hand, and another one has noticed it. */
  #die(picks: readonly number[]): void {
    const free = this.#all('waiting').filter(({ fault }) => fault === undefined)
    if (free.length === 0) return
    const dead = new Set(picks.map((number) => free[number % free.length] as Known))
    leaveDeadWorker(
      this.#queue,
      [...dead].map(({ id }) => id),
      {},
      `web1.1.${++this.#serial}`,
    )
    const { guard, crashes } = openGuard(this.#queue)
    guard.close()
    expect(crashes).toHaveLength(dead.size)
    for (const item of dead) {
      item[dead.size === 1 ? 'alone' : 'together']++
      item.maySuspect = true
      item.log.push('crashed')
    }
  }

  #logOf(key: string): Known['log'] {
    return readLog(layoutOf(this.#queue.name, this.#queue.settings), key).flatMap((line) => {
      if ('redriven' in line) return []
      return 'crashed' in line ? ['crashed'] : [line.reason === undefined ? 'retried' : 'failed']
    })
  }

  #isQuiet(): boolean {
    this.#notice()
    if ([...this.worker.running].some(({ key }) => !this.#running.has(key))) return false
    if (this.#isPaused || this.#isDown || this.#wrong.length > 0) return true
    if (this.#running.size >= this.#concurrency) return true
    const free = this.#all('waiting').filter(({ isDelayed }) => !isDelayed)
    if (free.length === 0) return true
    // One that is to run alone waits for the others, and they for it.
    const mayWait = [...this.#all('working'), ...free].some(({ maySuspect }) => maySuspect)
    return this.#running.size > 0 && mayWait
  }

  /** An item is seen in its place a moment before it is counted. */
  #isCounted(): boolean {
    const { counters } = this.worker
    return Object.entries(this.#expected).every(([what, count]) => counters[what as 'done'] === count)
  }

  /** Items that have failed without having run. */
  #notice(): void {
    const failed = new Set(names(this.#queue, 'fail'))
    for (const item of this.#all('waiting')) {
      if (!failed.has(item.id)) continue
      if (item.fault === undefined && !isCrashed(item)) this.#wrong.push(`${item.id} has failed`)
      if (item.fault === undefined) item.log.push('failed')
      item.state = 'failed'
      this.#expected.failed++
    }
  }

  #placesOf(id: string): string[] {
    return PLACES.filter((place) => names(this.#queue, place).includes(id)).map((place) =>
      place === 'fail' ? 'failed' : place,
    )
  }

  #checkPlaces(): void {
    let there: string[]
    // An item may have moved to fail/ since the last look, without having run.
    do {
      this.#notice()
      there = PLACES.flatMap((place) => names(this.#queue, place).map((name) => `${place} ${name}`))
    } while (this.#all('waiting').some(({ id }) => there.includes(`fail ${id}`)))
    const places = { waiting: 'queue', working: 'queue', done: 'done', failed: 'fail' } as const
    const expected = [...this.#known.values()].flatMap(({ state, id }) =>
      state === 'gone' ? [] : [`${places[state]} ${id}`],
    )
    expect(there.sort()).toEqual(expected.sort())
  }

  #describe(): string {
    return JSON.stringify([...this.#known.values()].filter(({ state }) => state !== 'gone'))
  }
}

function isCrashed({ alone, together }: Known): boolean {
  return alone + Math.min(together, 1) >= MAX_CRASHES || alone + together >= 3 * MAX_CRASHES
}

function withTries(id: string, tries: number): string {
  return id.split('_').with(5, String(tries)).join('_')
}

const bed = useTestBed({ quick: true })

test('a worker, and all that can happen to its items, against a model', async () => {
  if (process.env['FSQ_MODEL_RUNS'] !== undefined) process.stdout.write(`${RUNS} runs of seed ${SEED}\n`)
  let number = 0
  await fc.assert(
    fc.asyncProperty(fc.array(STEP, { minLength: 10, maxLength: 50 }), async (steps) => {
      const run = new Run(await bed.install({ durability: 'none', maxTries: MAX_TRIES }, `q${++number}`))
      try {
        await run.begin()
        for (const step of steps) {
          await run.take(step)
          await run.check()
        }
        await run.finish()
      } finally {
        await run.end()
      }
    }),
    { numRuns: RUNS, seed: SEED, endOnFailure: true },
  )
}, 3_600_000)
