// The native side of queues whose claims are renames, on the addon itself: the protocol must be right on a file system that answers
// wrongly, dies in the middle, or takes a lock away. Fault points stand in for it.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'

import { beforeEach, describe, expect, test } from '@jest/globals'

import { Child, makeDirectory, until } from '../support/child.js'
import { WORKER_FILES } from './claimed.js'

const { EBADF, EINTR, EINVAL, EEXIST, ENOENT, ENOTEMPTY, EOWNERDEAD, EIO, ESTALE } = {
  EOWNERDEAD: process.platform === 'linux' ? 130 : 105,
  ...os.constants.errno,
}
const PLACES = ['queue', 'tmp', 'done', 'fail'] as const
/** Neither claims nor finishes can rename without replacing. */
const BY_LINK = `claim.rename#1=errno:${EINVAL};finish.rename=errno:${EINVAL};claim.exclusive=errno:${EINVAL}`

let queue = ''

function makeQueue(): void {
  queue = path.join(makeDirectory({ quick: true }), 'q')
  for (const place of [...PLACES, 'claimed']) fs.mkdirSync(path.join(queue, place), { recursive: true })
  fs.writeFileSync(path.join(queue, 'claims-rename'), '')
}

beforeEach(makeQueue)

interface ClaimedItem {
  readonly name: string
  readonly content: string
  readonly claimedAt: number
  readonly descriptor: number
  readonly position: number
}

interface Claimed {
  readonly items: readonly ClaimedItem[]
  readonly busy: number
  readonly delayed: number
  readonly failure?: { readonly errno: number }
  readonly notes?: readonly { readonly kind: number; readonly name: string }[]
}

class Worker {
  readonly child: Child
  #asked = 0

  constructor(faults = '', job: object = {}) {
    this.child = new Child('rename-worker.mjs', { queue, ...job }, { faults })
  }

  async ask<Answer = unknown>(call: string, given: object = {}): Promise<Answer> {
    const id = this.#asked++
    this.child.tell({ call, id, ...given })
    return (await this.child.says(`answer${id}`))[`answer${id}`] as Answer
  }

  /** Asks for a call during which the process dies. */
  async dieIn(call: string, given: object = {}): Promise<void> {
    this.child.tell({ call, id: this.#asked++, ...given })
    expect(await this.child.ended).toMatchObject({ signal: 'SIGKILL' })
  }

  async enqueue(content: string): Promise<string> {
    return this.ask<string>('enqueue', { content })
  }

  async claim(given: object = {}): Promise<Claimed> {
    return this.ask<Claimed>('claim', given)
  }

  async claimOne(): Promise<ClaimedItem> {
    const { items, failure } = await this.claim({ limit: 1 })
    expect(failure).toBeUndefined()
    expect(items).toHaveLength(1)
    return items[0] as ClaimedItem
  }

  async finish(name: string, place: string, given: object = {}): Promise<unknown> {
    return this.ask('finish', { name, place, ...given })
  }

  /** Takes over, gives all back and removes the directories. */
  async takeOver(): Promise<string[]> {
    const seized = await this.ask<{ names: string[] }[]>('seize')
    for (const name of seized.flatMap(({ names }) => names))
      expect(await this.finish(name, 'queue')).toBeNull()
    expect(await this.ask('dismiss')).toEqual(seized.map(() => null))
    return seized.flatMap(({ names }) => names)
  }
}

/** The files in the queue by their places, without those of workers: each as NAME: CONTENT. */
function files(): Record<string, string[]> {
  const read = (directory: string): string[] =>
    fs
      .readdirSync(path.join(queue, directory))
      .filter((name) => !WORKER_FILES.includes(name))
      .map((name) => `${name}: ${fs.readFileSync(path.join(queue, directory, name), 'utf8')}`)
      .sort()
  const workers = fs.readdirSync(path.join(queue, 'claimed')).flatMap((worker) => read(`claimed/${worker}`))
  return {
    ...Object.fromEntries(PLACES.map((place) => [place, read(place)])),
    claimed: workers.sort(),
  }
}

const NONE = { queue: [], tmp: [], done: [], fail: [], claimed: [] }

function plant(name: string, content: string): void {
  fs.writeFileSync(path.join(queue, 'queue', name), content)
}

function withTries(name: string, tries: number): string {
  return name.replace(/_0_a$/, `_${tries}_a`)
}

describe('an item', () => {
  test('is claimed, read, and finished, and nothing of it stays open', async () => {
    const worker = new Worker()
    // From now on it keeps queue/ open to list it.
    await worker.claim()
    const names = [await worker.enqueue('one'), await worker.enqueue('two'), await worker.enqueue('three')]
    const { open } = await worker.ask<{ open: string[] }>('look')
    const { items } = await worker.claim()
    expect(items).toMatchObject([
      { content: 'one', descriptor: -1, position: 0 },
      { content: 'two', descriptor: -1 },
      { content: 'three', descriptor: -1 },
    ])
    expect(files()).toMatchObject({
      queue: [],
      claimed: [expect.anything(), expect.anything(), expect.anything()],
    })
    const {
      name,
      byRename,
      open: after,
    } = await worker.ask<{ name: string; byRename: boolean; open: string[] }>('look')
    expect(byRename).toBe(true)
    expect(name).toMatch(new RegExp(`-${worker.child.pid}-[0-9a-f]{16}$`))
    const own = path.join(queue, 'claimed', name)
    const opened = after.slice()
    for (const file of open) opened.splice(opened.indexOf(file), 1)
    expect(opened.sort()).toEqual([path.join(queue, 'claimed'), own, path.join(own, '.lock')])
    expect(await worker.ask('read', { name: names[1] })).toBe('two')
    expect(await worker.finish(names[0] as string, 'done')).toBeNull()
    expect(
      await worker.finish(names[1] as string, 'queue', { to: withTries(names[1] as string, 1) }),
    ).toBeNull()
    expect(await worker.finish(names[2] as string, 'discard')).toBeNull()
    expect(files()).toEqual({
      ...NONE,
      done: [`${names[0]}: one`],
      queue: [`${withTries(names[1] as string, 1)}: two`],
    })
    expect(await worker.ask('look')).toMatchObject({ open: after })
  })

  test('takes an lstat, a rename, an open, an fstat and a read to claim, and a rename to finish', async () => {
    const worker = new Worker()
    await worker.ask('claim')
    for (let count = 0; count < 20; count++) await worker.enqueue(`${count}`)
    await worker.ask('setFaults', { faults: '' })
    const { items } = await worker.claim()
    for (const { name } of items) await worker.finish(name, 'done')
    const hits = await worker.ask<Record<string, number>>('hits')
    // `claim.exclusive` is the same call as `claim.rename`, so that a test can refuse one or the other.
    const perItem = Object.entries(hits).filter(
      ([point, count]) => count >= 10 && point !== 'claim.exclusive',
    )
    expect(Object.fromEntries(perItem)).toEqual({
      'claim.look': 20,
      'claim.rename': 20,
      'claim.open': 20,
      'claim.fstat': 20,
      'claim.read': 20,
      'finish.rename': 20,
    })
  })

  test('has a number that grows from claim to claim', async () => {
    const worker = new Worker()
    const name = await worker.enqueue('x')
    let last = 0
    for (let count = 0; count < 20; count++) {
      const { claimedAt } = await worker.claimOne()
      expect(claimedAt).toBeGreaterThan(last)
      last = claimedAt
      expect(await worker.finish(name, 'queue')).toBeNull()
    }
    expect(Math.abs(last / 1000 - Date.now())).toBeLessThan(60_000)
  })

  describe('goes back only after the clock of the file system has gone on since its claim', () => {
    /** The first two looks find that it has not. */
    const standing = (claimedAt: number, then: string): string =>
      `worker.clock#1=answer:${claimedAt};worker.clock#2=answer:${claimedAt};worker.clock#3=${then}`

    test('to be retried', async () => {
      const worker = new Worker()
      const name = await worker.enqueue('x')
      const { claimedAt } = await worker.claimOne()
      await worker.ask('setFaults', { faults: standing(claimedAt, `answer:${claimedAt + 1}`) })
      expect(await worker.finish(name, 'queue', { to: withTries(name, 1) })).toBeNull()
      expect(await worker.ask('hits')).toMatchObject({ 'worker.clock': 3 })
      const again = await worker.claimOne()
      await worker.ask('setFaults', { faults: standing(again.claimedAt, 'kill') })
      await worker.dieIn('finish', { name: again.name, place: 'queue' })
      expect(files()).toEqual({ ...NONE, claimed: [`${again.name}: x`] })
    })

    test('of a worker that has died', async () => {
      const dead = new Worker()
      const name = await dead.enqueue('x')
      const { claimedAt } = await dead.claimOne()
      dead.child.kill()
      await dead.child.ended
      const dying = new Worker(standing(claimedAt, 'kill'))
      await dying.ask('seize')
      await dying.dieIn('finish', { name, place: 'queue' })
      expect(files()).toEqual({ ...NONE, claimed: [`${name}: x`] })
      expect(await new Worker().takeOver()).toEqual([name])
    })

    test('but does not wait for a clock that was set back', async () => {
      const worker = new Worker('worker.clock=answer:0')
      const [name, other] = [await worker.enqueue('x'), await worker.enqueue('y')]
      await worker.claim()
      expect(await worker.finish(name, 'queue')).toBeNull()
      expect(await worker.finish(other, 'queue', { to: withTries(other, 1) })).toBeNull()
      expect(await worker.ask('hits')).toMatchObject({ 'worker.clock': 2 })
    })

    test('and waits for about a second at most', async () => {
      const worker = new Worker()
      const name = await worker.enqueue('x')
      const { claimedAt } = await worker.claimOne()
      await worker.ask('setFaults', { faults: `worker.clock=answer:${claimedAt - 500_000}` })
      expect(await worker.finish(name, 'queue')).toBeNull()
      const { 'worker.clock': looks } = await worker.ask<Record<string, number>>('hits')
      expect(looks).toBeGreaterThan(1000)
    })

    test('and is finished without a look at the clock', async () => {
      const worker = new Worker()
      const name = await worker.enqueue('x')
      await worker.claimOne()
      expect(await worker.finish(name, 'done')).toBeNull()
      expect(await worker.ask('hits')).toMatchObject({ 'worker.clock': 0 })
    })
  })

  test('gets an entropy that begins at a random number in each process', async () => {
    const entropies = []
    for (let count = 0; count < 2; count++) {
      const worker = new Worker()
      const [first, second] = [await worker.enqueue('x'), await worker.enqueue('x')].map((name) =>
        BigInt(name.split('_')[2] as string),
      ) as [bigint, bigint]
      expect(second).toBe(first + 1n)
      entropies.push(first)
    }
    expect(entropies[0]).not.toBe(entropies[1])
    expect(entropies.every((entropy) => entropy > 1_000_000n && entropy < 1n << 63n)).toBe(true)
  })

  test('that is delayed, foreign or of no file is skipped where it is', async () => {
    const worker = new Worker()
    await worker.ask('enqueue', { content: 'later', due: Date.now() + 3_600_000 })
    fs.mkdirSync(path.join(queue, 'queue', 'directory'))
    const { items, delayed, notes } = await worker.claim()
    expect({ items, delayed }).toEqual({ items: [], delayed: 1 })
    expect(notes).toMatchObject([{ kind: 0, name: 'directory' }])
    expect(await worker.ask('hits')).toMatchObject({ 'claim.rename': 0 })
  })

  test('that seems delayed only after its rename is claimed: the clock was set back', async () => {
    const worker = new Worker('claim.look=answer:0')
    const name = await worker.ask<string>('enqueue', { content: 'x', due: Date.now() + 3_600_000 })
    expect((await worker.claim()).items).toMatchObject([{ name }])
    expect(await worker.finish(name, 'done')).toBeNull()
  })

  test('that came to be delayed after the look is given back', async () => {
    const pause = path.join(queue, 'tmp', 'pause')
    const worker = new Worker(`claim.rename#1=pause:${pause}`)
    const name = await worker.enqueue('x')
    const claiming = worker.ask<Claimed>('claimInPool')
    await until('the claim has looked', () => fs.existsSync(pause))
    const due = Date.now() / 1000 + 3600
    fs.utimesSync(path.join(queue, 'queue', name), due, due)
    fs.rmSync(pause)
    expect(await claiming).toMatchObject({ items: [], delayed: 1 })
    expect(files()).toEqual({ ...NONE, queue: [`${name}: x`] })
  })
})

describe('no file is ever replaced', () => {
  test.each([
    ['by a rename', ''],
    ['by a link', BY_LINK],
  ])('%s: another item has the name in queue/', async (_, faults) => {
    const worker = new Worker(faults)
    const name = await worker.enqueue('first')
    await worker.claimOne()
    plant(name, 'second')
    // It holds one of this name.
    expect(await worker.claim()).toMatchObject({ items: [], busy: 1 })
    expect(await worker.finish(name, 'queue')).toMatchObject({ errno: -EEXIST, moved: false })
    expect(files()).toEqual({ ...NONE, queue: [`${name}: second`], claimed: [`${name}: first`] })
    expect(await worker.finish(name, 'queue', { to: `${name}-2` })).toBeNull()
    expect(files()).toEqual({ ...NONE, queue: [`${name}-2: first`, `${name}: second`].sort() })
    expect((await worker.claim()).items.map(({ content }) => content).sort()).toEqual(['first', 'second'])
  })

  test.each([
    ['by a rename', ''],
    ['by a link', BY_LINK],
  ])('%s: another item has the name in done/', async (_, faults) => {
    const worker = new Worker(faults)
    const name = await worker.enqueue('first')
    await worker.claimOne()
    fs.writeFileSync(path.join(queue, 'done', name), 'another')
    expect(await worker.finish(name, 'done')).toMatchObject({ errno: -EEXIST, moved: false })
    expect(files()).toEqual({ ...NONE, done: [`${name}: another`], claimed: [`${name}: first`] })
  })

  test('in the directory of a worker: a claim that had been made unnoticed comes first', async () => {
    const worker = new Worker(`claim.rename#1=errno-after:${ENOENT}`)
    const name = await worker.enqueue('first')
    expect((await worker.claim()).items).toEqual([])
    plant(name, 'second')
    const claimed = await worker.claim()
    expect(claimed.items.map(({ content }) => content)).toEqual(['first'])
    expect(await worker.finish(name, 'done')).toBeNull()
    expect((await worker.claimOne()).content).toBe('second')
  })

  test.each([
    ['by a rename', ''],
    ['by a link', BY_LINK],
  ])('%s: a file in queue/ that is called as the lock of a worker', async (_, faults) => {
    const worker = new Worker(faults)
    await worker.enqueue('x')
    await worker.claimOne()
    plant('.lock', 'y')
    expect(await worker.claim()).toMatchObject({ items: [], notes: [{ kind: 1, name: '.lock' }] })
    expect(fs.readFileSync(path.join(queue, 'queue', '.lock'), 'utf8')).toBe('y')
    const { name } = await worker.ask<{ name: string }>('look')
    expect(fs.statSync(path.join(queue, 'claimed', name, '.lock')).size).toBe(512)
  })

  test('where the flag does not work, it is tried once', async () => {
    const worker = new Worker(BY_LINK)
    for (let count = 0; count < 5; count++) await worker.enqueue(`${count}`)
    const { items } = await worker.claim()
    for (const { name } of items) expect(await worker.finish(name, 'done')).toBeNull()
    expect(await worker.ask('hits')).toMatchObject({
      'claim.rename': 6,
      'finish.rename': 0,
      'finish.link': 5,
    })
    expect(files()['done']).toHaveLength(5)
  })
})

describe('a call that was made and has failed', () => {
  test.each([ENOENT, EIO, ESTALE])('claim, errno %i: the next walk has the item, once', async (errno) => {
    const worker = new Worker(`claim.rename#1=errno-after:${errno}`)
    const name = await worker.enqueue('x')
    expect((await worker.claim()).items).toEqual([])
    expect(files()).toMatchObject({ queue: [], claimed: [`${name}: x`] })
    expect(await worker.ask('isQuiet')).toBe(false)
    expect(await worker.claimOne()).toMatchObject({ name, content: 'x' })
    expect((await worker.claim()).items).toEqual([])
    expect(await worker.finish(name, 'done')).toBeNull()
    expect(files()).toEqual({ ...NONE, done: [`${name}: x`] })
  })

  test('a claim: a look at the name alone does not settle the doubt', async () => {
    const worker = new Worker(`claim.rename#1=errno-after:${ENOENT};claim.open#1=errno:${ENOENT}`)
    const name = await worker.enqueue('x')
    expect((await worker.claim()).items).toEqual([])
    expect((await worker.claim()).items).toEqual([])
    expect(await worker.claimOne()).toMatchObject({ name, content: 'x' })
  })

  test('a claim that was not made: the next walk looks at its directory, and the item of another worker stays', async () => {
    const [worker, other] = [new Worker(), new Worker()]
    const name = await worker.enqueue('x')
    await worker.ask('setFaults', { faults: `claim.rename=errno:${ENOENT}` })
    expect((await worker.claim()).items).toEqual([])
    expect(await other.claimOne()).toMatchObject({ name })
    expect((await worker.claim()).items).toEqual([])
    expect(await other.finish(name, 'done')).toBeNull()
  })

  test.each(['done', 'fail'])('finish to %s: it was made', async (place) => {
    const worker = new Worker(`finish.rename=errno-after:${ENOENT}`)
    const name = await worker.enqueue('x')
    await worker.claimOne()
    expect(await worker.finish(name, place)).toBeNull()
    expect(files()).toEqual({ ...NONE, [place]: [`${name}: x`] })
  })

  test('retry: it was made', async () => {
    const worker = new Worker(`finish.rename=errno-after:${EEXIST}`)
    const name = await worker.enqueue('x')
    await worker.claimOne()
    expect(await worker.finish(name, 'queue', { to: withTries(name, 1) })).toBeNull()
    expect(files()).toEqual({ ...NONE, queue: [`${withTries(name, 1)}: x`] })
  })

  test('discard: it was made', async () => {
    const worker = new Worker(`finish.unlink=errno-after:${ENOENT}`)
    const name = await worker.enqueue('x')
    await worker.claimOne()
    expect(await worker.finish(name, 'discard')).toBeNull()
    expect(files()).toEqual(NONE)
  })

  test('retry: it was made, and another worker has claimed the item since', async () => {
    const pause = path.join(queue, 'pause')
    const [worker, other] = [new Worker(), new Worker()]
    const name = await worker.enqueue('x')
    await worker.claimOne()
    const faults = `finish.rename=pause-after:${pause};finish.rename=errno-after:${ENOENT}`
    await worker.ask('setFaults', { faults })
    const retried = worker.finish(name, 'queue', { to: withTries(name, 1) })
    await until('the call was made', () => fs.existsSync(pause))
    await other.claimOne()
    fs.rmSync(pause)
    expect(await retried).toBeNull()
  })

  test('a worker proves that once; the second time, it loses its claims and begins anew', async () => {
    const worker = new Worker(`finish.rename=errno-after:${ENOENT}`)
    const names = [await worker.enqueue('x'), await worker.enqueue('y'), await worker.enqueue('z')]
    await worker.claim()
    const [first = '', second = '', third = ''] = names
    expect(await worker.finish(first, 'done')).toBeNull()
    expect(await worker.finish(second, 'done')).toMatchObject({ errno: -EOWNERDEAD, moved: false })
    expect(await worker.finish(third, 'done')).toMatchObject({ errno: -EOWNERDEAD, moved: false })
    expect(files()).toMatchObject({ done: [`${first}: x`, `${second}: y`].sort(), claimed: [`${third}: z`] })
    await worker.ask('setFaults', { faults: '' })
    for (const name of [second, third]) await worker.ask('release', { name })
    expect(await worker.takeOver()).toEqual([third])
    expect(await worker.claimOne()).toMatchObject({ content: 'z' })
    expect(await worker.finish(third, 'done')).toBeNull()
  })

  test.each(['finish.link', 'finish.unlink'])('by a link, at %s: it was made', async (point) => {
    const errno = point === 'finish.link' ? EEXIST : ENOENT
    const worker = new Worker(`${BY_LINK};${point}=errno-after:${errno}`)
    const name = await worker.enqueue('x')
    await worker.claimOne()
    expect(await worker.finish(name, 'done')).toBeNull()
    expect(files()).toEqual({ ...NONE, done: [`${name}: x`] })
  })
})

describe('a worker that dies', () => {
  /** For each crash, a new queue, a worker that dies in it, and one worker for all of them that goes on afterwards. */
  async function forEachCrash<Crash>(
    crashes: readonly Crash[],
    run: (crash: Crash, next: Worker) => Promise<void>,
  ): Promise<void> {
    const next = new Worker()
    for (const crash of crashes) {
      makeQueue()
      await next.ask('switch', { queue })
      try {
        await run(crash, next)
      } catch (error) {
        throw new Error(`after ${JSON.stringify(crash)}`, { cause: error })
      }
    }
  }

  // In the order of the calls. After one of them, the files are as before the next one.
  const POINTS = [
    'worker.guard',
    'worker.mkdir',
    'worker.own',
    'worker.open',
    'worker.write',
    'worker.lock',
    'worker.look',
    'worker.fsync',
    'claim.look',
    'claim.rename',
    'claim.open',
    'claim.fstat',
    'claim.read',
  ]
  test('in any call of the claim: another has the item, once', async () => {
    await forEachCrash(POINTS, async (point, next) => {
      const dying = new Worker()
      const name = await dying.enqueue('x')
      await dying.ask('setFaults', { faults: `${point}=kill` })
      await dying.dieIn('claim')
      await next.takeOver()
      expect(files()).toEqual({ ...NONE, queue: [`${name}: x`] })
      expect(await next.claimOne()).toMatchObject({ name, content: 'x' })
      expect(await next.finish(name, 'done')).toBeNull()
      expect(files()).toEqual({ ...NONE, done: [`${name}: x`] })
    })
  })

  const WAYS = { exclusively: '', 'by a link': BY_LINK }
  const ACTIONS = ['kill', 'kill-after'] as const
  type Way = keyof typeof WAYS
  const MOVES: readonly (readonly [way: Way, point: string, action: string])[] = [
    ['exclusively', 'finish.rename', 'kill'],
    ['exclusively', 'finish.rename', 'kill-after'],
    ['by a link', 'finish.link', 'kill'],
    ['by a link', 'finish.unlink', 'kill'],
    ['by a link', 'finish.unlink', 'kill-after'],
  ]

  test('in any call of a move: the item is in one place', async () => {
    const crashes = [
      ...MOVES.flatMap((move) => (['done', 'queue'] as const).map((place) => [...move, place] as const)),
      ['exclusively', 'finish.fsyncdir', 'kill', 'done'] as const,
      ...['kill', 'kill-after'].map((action) => ['exclusively', 'finish.unlink', action, 'discard'] as const),
    ]
    await forEachCrash(crashes, async ([way, point, action, place], next) => {
      const dying = new Worker(WAYS[way], { durable: true })
      const name = await dying.enqueue('x')
      await dying.claimOne()
      await dying.ask('setFaults', { faults: `${WAYS[way]};${point}=${action}` })
      const to = place === 'queue' ? { to: withTries(name, 1) } : {}
      await dying.dieIn('finish', { name, place, ...to })
      await next.takeOver()
      const { queue: waiting = [], done = [], claimed } = files()
      expect(claimed).toEqual([])
      const isGone = place === 'discard' && action === 'kill-after'
      expect([...waiting, ...done]).toHaveLength(isGone ? 0 : 1)
      for (const file of fs.readdirSync(path.join(queue, 'queue')))
        expect(fs.statSync(path.join(queue, 'queue', file)).nlink).toBe(1)
    })
  })

  test('in any call of a take-over: the next one goes on', async () => {
    const crashes = [
      ...['takeover.open', 'takeover.lock', 'takeover.disown', 'takeover.read', 'takeover.look'].map(
        (point) => ['exclusively', point, 'kill'] as const,
      ),
      ...MOVES,
      ['exclusively', 'takeover.disown', 'kill-after'] as const,
      ['exclusively', 'worker.disown', 'kill'] as const,
      ['exclusively', 'worker.unlink', 'kill'] as const,
      ['exclusively', 'worker.rmdir', 'kill'] as const,
      ['exclusively', 'worker.rmdir', 'kill-after'] as const,
    ]
    await forEachCrash(crashes, async ([way, point, action], next) => {
      const dead = new Worker()
      const dying = new Worker(WAYS[way])
      const names = [await dead.enqueue('one'), await dead.enqueue('two')].sort()
      await dead.claim()
      dead.child.kill()
      await dead.child.ended
      // By now it knows that it cannot rename exclusively.
      const other = await dying.enqueue('three')
      await dying.claimOne()
      expect(await dying.finish(other, 'done')).toBeNull()
      await dying.ask('setFaults', { faults: `${WAYS[way]};${point}=${action}` })
      await Promise.race([dying.takeOver().catch(() => undefined), dying.child.ended])
      expect(await dying.child.ended).toMatchObject({ signal: 'SIGKILL' })
      await next.takeOver()
      expect(files()).toMatchObject({ queue: [`${names[0]}: one`, `${names[1]}: two`], claimed: [] })
      expect((await next.claim()).items).toHaveLength(2)
      // The directory of the worker itself, and perhaps an empty one without `.lock`.
      const others = fs
        .readdirSync(path.join(queue, 'claimed'))
        .filter((name) => !name.includes(`-${next.child.pid}-`))
      for (const name of others) expect(fs.readdirSync(path.join(queue, 'claimed', name))).toEqual([])
    })
  })

  test.each(ACTIONS)('while it proves that a move was its own (%s): the move was made', async (action) => {
    const dying = new Worker(`finish.rename=errno-after:${ENOENT};finish.disown=${action}`)
    const name = await dying.enqueue('x')
    await dying.claimOne()
    await dying.dieIn('finish', { name, place: 'done' })
    const worker = new Worker()
    expect(await worker.takeOver()).toEqual([])
    expect(files()).toEqual({ ...NONE, done: [`${name}: x`] })
    expect(fs.readdirSync(path.join(queue, 'claimed'))).toEqual([])
  })

  test.each(
    ['worker.disown', 'worker.unlink', 'worker.rmdir'].flatMap((point) =>
      ACTIONS.map((action) => [point, action] as const),
    ),
  )(
    'while it removes its directory, at %s (%s): nothing stays but an empty directory',
    async (point, action) => {
      const dying = new Worker(`${point}=${action}`)
      const name = await dying.enqueue('x')
      await dying.claimOne()
      expect(await dying.finish(name, 'done')).toBeNull()
      await dying.dieIn('retire')
      expect(await new Worker().takeOver()).toEqual([])
      for (const worker of fs.readdirSync(path.join(queue, 'claimed')))
        expect(fs.readdirSync(path.join(queue, 'claimed', worker))).toEqual([])
    },
  )

  test('between the link and the unlink of a give-back: the item is claimed from queue/, and the other name goes', async () => {
    const dying = new Worker(BY_LINK)
    const name = await dying.enqueue('x')
    await dying.claimOne()
    await dying.ask('setFaults', { faults: `${BY_LINK};finish.unlink=kill` })
    await dying.dieIn('finish', { name, place: 'queue' })
    expect(files()).toEqual({ ...NONE, queue: [`${name}: x`], claimed: [`${name}: x`] })
    const worker = new Worker(BY_LINK)
    expect(await worker.claimOne()).toMatchObject({ name, content: 'x' })
    expect(files()).toEqual({ ...NONE, claimed: [`${name}: x`] })
    expect(await worker.finish(name, 'discard')).toBeNull()
    await worker.takeOver()
    expect(files()).toEqual(NONE)
  })

  test('after another one has claimed the item of its half-done give-back, and two take over: the item is not lost', async () => {
    const name = await new Worker().enqueue('x')
    const directories = ['host-1-00000000000000aa', 'host-2-00000000000000bb'].map((worker) =>
      path.join(queue, 'claimed', worker),
    )
    for (const directory of directories) {
      fs.mkdirSync(directory)
      for (const file of WORKER_FILES) fs.writeFileSync(path.join(directory, file), '')
      fs.linkSync(path.join(queue, 'queue', name), path.join(directory, name))
    }
    fs.rmSync(path.join(queue, 'queue', name))
    const pauses = ['one', 'other'].map((file) => path.join(queue, file))
    const workers = pauses.map(
      (pause) => new Worker(`${BY_LINK};takeover.read#1=pause:${pause};claim.complete=delay:500`),
    )
    const seizures = workers.map(async (worker) => worker.ask('seize'))
    for (const pause of pauses) await until('it has the lock of one directory', () => fs.existsSync(pause))
    for (const pause of pauses) fs.rmSync(pause)
    await Promise.all(seizures)
    expect(files()['claimed']).not.toEqual([])
    for (const worker of workers) await worker.ask('dismiss')
    await new Worker(BY_LINK).takeOver()
    expect(files()).toEqual({ ...NONE, queue: [`${name}: x`] })
    expect(fs.readdirSync(path.join(queue, 'claimed'))).toEqual([])
  })

  test('between the link and the unlink of a give-back: the item is claimed while another looks for its other name, and is not given back', async () => {
    const dying = new Worker(BY_LINK)
    const name = await dying.enqueue('x')
    await dying.claimOne()
    await dying.ask('setFaults', { faults: `${BY_LINK};finish.unlink=kill` })
    await dying.dieIn('finish', { name, place: 'queue' })
    const pauses = [path.join(queue, 'one'), path.join(queue, 'other')] as const
    const taker = new Worker(`${BY_LINK};claim.twin#2=pause:${pauses[0]}`)
    const seizure = taker.ask('seize')
    await until('it looks for the other name', () => fs.existsSync(pauses[0]))
    const worker = new Worker(`${BY_LINK};claim.rename#2=pause-after:${pauses[1]}`)
    const claimed = worker.claimOne()
    await until('the item is claimed', () => fs.existsSync(pauses[1]))
    fs.rmSync(pauses[0])
    expect(await seizure).toMatchObject([{ names: [] }])
    await taker.ask('dismiss')
    fs.rmSync(pauses[1])
    expect(await claimed).toMatchObject({ name, content: 'x' })
    expect(files()).toEqual({ ...NONE, claimed: [`${name}: x`] })
    expect(await worker.finish(name, 'done')).toBeNull()
    expect(await new Worker().takeOver()).toEqual([])
    expect(files()).toEqual({ ...NONE, done: [`${name}: x`] })
  })

  test('two take over at once: each item goes back once', async () => {
    const dead = new Worker()
    const names = []
    for (let count = 0; count < 20; count++) names.push(await dead.enqueue(`${count}`))
    await dead.claim()
    dead.child.kill()
    await dead.child.ended
    const workers = [new Worker(), new Worker()]
    const taken = await Promise.all(workers.map(async (worker) => worker.takeOver()))
    expect(taken.flat().sort()).toEqual(names.sort())
    expect(files()['queue']).toHaveLength(20)
    expect(fs.readdirSync(path.join(queue, 'claimed'))).toEqual([])
  })

  test('what it wrote into its .lock is there for the one that takes over', async () => {
    const dead = new Worker()
    await dead.enqueue('x')
    await dead.claimOne()
    const { name } = await dead.ask<{ name: string }>('look')
    const line = `${JSON.stringify({ pid: dead.child.pid }).padEnd(511)}\n`
    fs.writeFileSync(path.join(queue, 'claimed', name, '.lock'), line)
    dead.child.kill()
    await dead.child.ended
    expect(await new Worker().ask('seize')).toMatchObject([{ name, lines: line, names: [expect.anything()] }])
  })

  test('an item that arrives in a directory whose .lock is gone is not lost', async () => {
    const worker = new Worker()
    const name = await worker.enqueue('x')
    fs.mkdirSync(path.join(queue, 'claimed', 'host-1-0123456789abcdef'))
    expect(await worker.takeOver()).toEqual([])
    fs.renameSync(
      path.join(queue, 'queue', name),
      path.join(queue, 'claimed', 'host-1-0123456789abcdef', name),
    )
    expect(await worker.takeOver()).toEqual([name])
    expect(files()).toEqual({ ...NONE, queue: [`${name}: x`] })
  })

  test('one directory that cannot be taken over does not keep the items in the others', async () => {
    const worker = new Worker()
    const names = []
    // A listing has them in any order.
    for (let count = 0; count < 16; count++) {
      const name = await worker.enqueue(`${count}`)
      const directory = path.join(queue, 'claimed', `host-${count}-0123456789abcdef`)
      fs.mkdirSync(directory)
      fs.writeFileSync(path.join(directory, '.lock'), '')
      if (count === 7) fs.mkdirSync(path.join(directory, '.owned'))
      else names.push(name)
      fs.renameSync(path.join(queue, 'queue', name), path.join(directory, name))
    }
    expect((await worker.takeOver()).sort()).toEqual(names.sort())
    expect(await worker.ask('seize')).toMatchObject({
      path: 'claimed/host-7-0123456789abcdef/.owned',
      syscall: 'unlinkat',
    })
  })

  test('files in a directory that a person has put into claimed/ are no items', async () => {
    const hexadecimal = '0123456789abcdef'
    const strange = [
      'backup',
      `host-1-${hexadecimal}0`,
      `host-1-${hexadecimal.toUpperCase()}`,
      `host-x-${hexadecimal}`,
      `host--${hexadecimal}`,
      `-1-${hexadecimal}`,
      `${'h'.repeat(66)}-1-${hexadecimal}`,
    ]
    const known = [`a-b-1-${hexadecimal}`, `${'h'.repeat(65)}-99-${hexadecimal}`]
    for (const name of [...strange, ...known]) {
      fs.mkdirSync(path.join(queue, 'claimed', name))
      fs.writeFileSync(path.join(queue, 'claimed', name, 'x'), '')
    }
    const seized = await new Worker().ask<{ name: string }[]>('seize')
    expect(seized.map(({ name }) => name).sort()).toEqual(known.sort())
    for (const name of strange) expect(fs.readdirSync(path.join(queue, 'claimed', name))).toEqual(['x'])
  })

  test('the directory of a worker that lives is left alone, as is all that is no directory of a worker', async () => {
    const [worker, other] = [new Worker(), new Worker()]
    await worker.enqueue('x')
    await worker.claimOne()
    fs.writeFileSync(path.join(queue, 'claimed', 'file'), '')
    fs.mkdirSync(path.join(queue, 'claimed', 'empty'))
    fs.symlinkSync(queue, path.join(queue, 'claimed', 'link'))
    expect(await other.ask('seize')).toEqual([])
    expect(await worker.ask('seize')).toEqual([])
    expect(fs.readdirSync(path.join(queue, 'claimed'))).toHaveLength(4)
  })
})

describe.each([
  ['exclusively', ''],
  ['by a link', BY_LINK],
])('a lock that the server gives away while the fence of its owner stands, %s', (_, way) => {
  const GRANTED = 'takeover.lock=answer:0'

  /** Gives the items of the owner back, and dies before it removes the directory. */
  async function takeOverHalf(): Promise<void> {
    const taker = new Worker(`${way};${GRANTED};worker.disown=kill`)
    for (const { names } of await taker.ask<{ names: string[] }[]>('seize'))
      for (const name of names) expect(await taker.finish(name, 'queue')).toBeNull()
    await taker.dieIn('dismiss')
  }

  test.each(['done', 'fail', 'queue', 'discard'])(
    'exactly one worker believes that it has finished the item (%s)',
    async (place) => {
      const owner = new Worker(way)
      const name = await owner.enqueue('x')
      await owner.claimOne()
      const { name: directory } = await owner.ask<{ name: string }>('look')
      await takeOverHalf()
      expect(fs.readdirSync(path.join(queue, 'claimed', directory))).toEqual(['.lock'])
      const other = new Worker(way)
      expect(await other.claimOne()).toMatchObject({ name })
      const given = place === 'queue' ? { to: withTries(name, 1) } : {}
      expect(await other.finish(name, place, given)).toBeNull()
      const after = files()
      expect(await owner.finish(name, place, given)).toMatchObject({ errno: -EOWNERDEAD, moved: false })
      expect(files()).toEqual(after)
      // It knows by now, and begins anew.
      const last = await owner.enqueue('y')
      expect(await owner.claim()).toMatchObject({ items: [], failure: { errno: -EOWNERDEAD } })
      expect(await owner.claim()).toMatchObject({
        items: expect.arrayContaining([expect.objectContaining({ name: last })]),
      })
      expect(await owner.finish(last, 'done')).toBeNull()
    },
  )

  test('nor does a worker believe so whose call a signal has interrupted', async () => {
    const pause = path.join(queue, 'pause')
    const owner = new Worker(way)
    const name = await owner.enqueue('x')
    await owner.claimOne()
    const point = way === '' ? 'finish.rename#1' : 'finish.link#1'
    await owner.ask('setFaults', { faults: `${way};${point}=pause:${pause};${point}=errno:${EINTR}` })
    const finished = owner.finish(name, 'done')
    await until('it is about to move the item', () => fs.existsSync(pause))
    await takeOverHalf()
    const other = new Worker(way)
    await other.claimOne()
    expect(await other.finish(name, 'done')).toBeNull()
    fs.rmSync(pause)
    expect(await finished).toMatchObject({ errno: -EOWNERDEAD, moved: false })
    expect(files()).toEqual({ ...NONE, done: [`${name}: x`] })
  })
})

describe('a move by a link', () => {
  const pauseAt = (point: string): { faults: string; pause: string } => {
    const pause = path.join(queue, 'pause')
    return { faults: `${BY_LINK};${point}=pause:${pause}`, pause }
  }

  test('whose second half another worker makes: the owner does not take it for its own', async () => {
    const owner = new Worker(BY_LINK)
    const name = await owner.enqueue('x')
    await owner.claimOne()
    const { faults, pause } = pauseAt('finish.unlink')
    await owner.ask('setFaults', { faults })
    const finished = owner.finish(name, 'done')
    await until('the link was made', () => fs.existsSync(pause))
    expect(await new Worker(`${BY_LINK};takeover.lock=answer:0`).takeOver()).toEqual([])
    fs.rmSync(pause)
    expect(await finished).toMatchObject({ errno: -EOWNERDEAD, moved: false })
    expect(files()).toEqual({ ...NONE, done: [`${name}: x`] })
  })

  test('back to queue/, whose second half the next claim makes: it has succeeded', async () => {
    const owner = new Worker(BY_LINK)
    const name = await owner.enqueue('x')
    await owner.claimOne()
    const { faults, pause } = pauseAt('finish.unlink')
    await owner.ask('setFaults', { faults })
    const retried = owner.finish(name, 'queue', { to: withTries(name, 1) })
    await until('the link was made', () => fs.existsSync(pause))
    const other = new Worker(BY_LINK)
    expect(await other.claimOne()).toMatchObject({ name: withTries(name, 1) })
    fs.rmSync(pause)
    expect(await retried).toBeNull()
    expect(files()).toEqual({ ...NONE, claimed: [`${withTries(name, 1)}: x`] })
  })
})

describe('the end of a worker', () => {
  test('its directory goes with it', async () => {
    const worker = new Worker()
    const name = await worker.enqueue('x')
    await worker.claimOne()
    expect(await worker.finish(name, 'done')).toBeNull()
    expect(await worker.ask('retire')).toBeNull()
    expect(fs.readdirSync(path.join(queue, 'claimed'))).toEqual([])
    // It can go on.
    await worker.enqueue('y')
    expect(await worker.claimOne()).toMatchObject({ content: 'y' })
  })

  test('with items, the directory stays, and its lock is free', async () => {
    const worker = new Worker()
    const name = await worker.enqueue('x')
    await worker.claimOne()
    expect(await worker.ask('retire')).toMatchObject({ errno: -ENOTEMPTY })
    expect(await worker.finish(name, 'done')).toMatchObject({ errno: -EOWNERDEAD })
    await worker.ask('release', { name })
    expect(await new Worker().takeOver()).toEqual([name])
  })
})

describe('the fence', () => {
  const LEASE = 400

  test('stands for as long as reads succeed', async () => {
    const lease = 1500
    const worker = new Worker('', { lease })
    const name = await worker.enqueue('x')
    expect(await worker.ask('look')).toMatchObject({ fence: -1 })
    await worker.claimOne()
    const begun = Date.now()
    await until('a lease is over', () => Date.now() - begun > 1.2 * lease)
    const { fence } = await worker.ask<{ fence: number }>('look')
    expect(fence).toBeGreaterThan(0)
    expect(fence).toBeLessThanOrEqual(0.8 * lease)
    expect(await worker.finish(name, 'done')).toBeNull()
  })

  test.each([
    ['a read fails with EIO, at once', `fence.read=errno:${EIO}`, 5000, 1000],
    ['a read fails with EBADF, at once', `fence.read=errno:${EBADF}`, 5000, 1000],
    ['no read succeeds for 0.8 of a lease', `fence.read=errno:${os.constants.errno.ENOMEM}`, LEASE, 0],
    ['a read hangs', 'fence.read=delay:60000', LEASE, 0],
  ])(
    'falls when %s: then nothing is claimed or finished, until the worker begins anew',
    async (_, faults, lease, least) => {
      const worker = new Worker('', { lease })
      const [name] = [await worker.enqueue('x'), await worker.enqueue('y')]
      await worker.claimOne()
      const { name: first } = await worker.ask<{ name: string }>('look')
      await worker.ask('setFaults', { faults })
      let [fence, before] = [lease, lease]
      const deadline = Date.now() + 20_000
      while (fence !== 0 && Date.now() < deadline) {
        before = fence
        ;({ fence } = await worker.ask<{ fence: number }>('look'))
      }
      expect(before).toBeGreaterThan(least)
      expect(fence).toBe(0)
      expect(await worker.finish(name, 'done')).toMatchObject({ errno: -EOWNERDEAD, moved: false })
      expect(await worker.ask('read', { name })).toMatchObject({ errno: -EOWNERDEAD })
      expect(await worker.claim()).toMatchObject({ items: [], failure: { errno: -EOWNERDEAD } })
      await worker.ask('setFaults', { faults: '' })
      expect(await worker.claimOne()).toMatchObject({ content: 'y' })
      const { name: second, fence: left } = await worker.ask<{ name: string; fence: number }>('look')
      expect(second).not.toBe(first)
      expect(left).toBeGreaterThan(0)
      await worker.ask('release', { name })
      expect(files()['claimed']).toHaveLength(2)
    },
  )

  test('a worker whose lock another has got cannot finish what that one has given back', async () => {
    const worker = new Worker()
    const name = await worker.enqueue('x')
    await worker.claimOne()
    // Stands in for a server that gives the lock to another machine.
    const other = new Worker('takeover.lock=answer:0')
    expect(await other.takeOver()).toEqual([name])
    expect(await other.claimOne()).toMatchObject({ name })
    expect(await worker.finish(name, 'done')).toMatchObject({ errno: -EOWNERDEAD, moved: false })
    expect(await worker.finish(name, 'discard')).toMatchObject({ errno: -EOWNERDEAD, moved: false })
    expect(await worker.ask('read', { name })).toMatchObject({ errno: -EOWNERDEAD })
    expect(await other.finish(name, 'done')).toBeNull()
    expect(files()).toEqual({ ...NONE, done: [`${name}: x`] })
  })

  test('does not keep a process from ending while a read hangs', async () => {
    const worker = new Worker('fence.read=delay:600000', { lease: LEASE })
    await worker.enqueue('x')
    await worker.claimOne()
    let reads = 0
    while (reads === 0) reads = (await worker.ask<Record<string, number>>('hits'))['fence.read'] ?? 0
    worker.child.tell({ call: 'exit' })
    expect(await worker.child.ended).toEqual({ code: 0, signal: null })
  })
})

describe('the kind of the queue', () => {
  test('a worker of a queue that has lost the marker claims nothing', async () => {
    const worker = new Worker()
    await worker.enqueue('x')
    fs.rmSync(path.join(queue, 'claims-rename'))
    expect(await worker.claim()).toMatchObject({ items: [], failure: { errno: -ESTALE } })
  })

  test('a worker that has opened it before it got the marker claims nothing', async () => {
    fs.rmSync(path.join(queue, 'claims-rename'))
    const worker = new Worker()
    await worker.enqueue('x')
    fs.writeFileSync(path.join(queue, 'down'), '')
    expect(await worker.ask('isDown')).toBe(true)
    fs.writeFileSync(path.join(queue, 'claims-rename'), '')
    expect(await worker.ask('isDown')).toMatchObject({ errno: -ESTALE })
    expect(await worker.claim()).toMatchObject({ items: [], failure: { errno: -ESTALE } })
    expect(files()['claimed']).toEqual([])
  })

  test('the first claim makes the guard file; the queue is down by another one', async () => {
    const worker = new Worker()
    await worker.enqueue('x')
    expect(await worker.ask('isDown')).toBe(false)
    await worker.claimOne()
    expect(fs.readFileSync(path.join(queue, 'down'), 'utf8')).toMatch(
      /^This queue is worked by renames .*\n$/,
    )
    expect(await worker.ask('isDown')).toBe(false)
    fs.writeFileSync(path.join(queue, 'down-rename'), '')
    expect(await worker.ask('isDown')).toBe(true)
    await worker.enqueue('y')
    const looked = Date.now()
    await until('the look of the last claim is too old', () => Date.now() - looked > 20)
    expect((await worker.claim()).items).toEqual([])
  })

  test('claimed/ is made again, with the mode of the queue', async () => {
    fs.chmodSync(queue, 0o2770)
    fs.rmdirSync(path.join(queue, 'claimed'))
    const worker = new Worker()
    await worker.enqueue('x')
    expect(await worker.ask('seize')).toEqual([])
    await worker.claimOne()
    const { name } = await worker.ask<{ name: string }>('look')
    for (const made of ['claimed', `claimed/${name}`])
      expect(fs.statSync(path.join(queue, made)).mode & 0o7777).toBe(0o2770)
    expect(fs.statSync(path.join(queue, 'claimed', name, '.lock'))).toMatchObject({ size: 512 })
  })

  test('a worker whose directory is removed begins anew', async () => {
    const worker = new Worker()
    await worker.enqueue('x')
    await worker.claimOne()
    fs.rmSync(path.join(queue, 'claimed'), { recursive: true })
    await worker.enqueue('y')
    expect(await worker.claim()).toMatchObject({ items: [], failure: { errno: -EOWNERDEAD } })
    expect(await worker.claimOne()).toMatchObject({ content: 'y' })
  })
})
