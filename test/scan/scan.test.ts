import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { QueueClosedError, QueueDownError } from '../../src/errors/classes.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { native } from '../../src/addon/native.js'
import { claimNumbersAt } from '../../src/addon/packing.js'
import type { Queue } from '../../src/queue.js'
import {
  EMPTY,
  Taker,
  checkError,
  contentOf,
  contents,
  drain,
  errorOf,
  inProgram,
  itemName,
  names,
  pathOf,
  plant,
  takeOne,
  until,
  useTestBed,
  lockedNames,
  plantNumbered,
} from '../support/queue.js'

const bed = useTestBed()

afterEach(() => {
  jest.restoreAllMocks()
})

describe('order', () => {
  test('is by time, then by number', async () => {
    const queue = await bed.install({ maxTries: 0 })
    const expected = [
      itemName({ timestamp: '20120710213903', entropy: 99 }),
      itemName({ entropy: 2 }),
      itemName({ entropy: 10 }),
      itemName({ entropy: '0100' }),
      itemName({ entropy: '18446744073709551616' }),
      itemName({ entropy: 'abc' }),
      itemName({ timestamp: '20120710213905', entropy: 0 }),
    ]
    for (const name of [...expected].reverse()) plant(queue, name)
    expect(await drain(queue)).toEqual(expected)
    expect(names(queue, 'done')).toEqual([...expected].sort())
  })

  test('is one walk: what comes later waits for the next', async () => {
    const queue = await bed.install()
    const first = await queue.enqueue('x')
    const seen: string[] = []
    for await (const item of queue.scan()) {
      seen.push(item.id)
      if (seen.length < 3) await queue.enqueue('y')
    }
    expect(seen).toEqual([first])
  })

  test('an empty queue hands out nothing', async () => {
    const queue = await bed.install()
    expect(await drain(queue)).toEqual([])
  })
})

test.each([1, 32])(
  'asked for many at once, a scan answers in order, each item once (prefetch %i)',
  async (prefetch) => {
    const queue = await bed.install()
    const planted = plantNumbered(queue, 60)
    const scan = queue.scan({ prefetch })
    const answers: string[] = []
    const finishing: Promise<void>[] = []
    let asked = 0
    const lane = async (): Promise<void> => {
      for (;;) {
        const turn = asked++
        const { value } = await scan.next()
        if (value === undefined) return
        answers[turn] = value.id
        finishing.push(value.done())
      }
    }
    await Promise.all(Array.from({ length: 5 }, lane))
    await Promise.all(finishing)
    expect(answers).toEqual(planted)
    expect(await scan.next()).toEqual({ value: undefined, done: true })
    expect(names(queue, 'done')).toHaveLength(60)
  },
)

describe('down', () => {
  const isDownError = {
    type: QueueDownError,
    says: /'q' is down \(.*\/q\/down exists\).*Take it up again with queue\.up\(\)/,
  }

  test('before: nothing is claimed, nothing moved', async () => {
    const queue = await bed.install()
    const id = await queue.enqueue('x')
    plant(queue, 'malformed')
    await queue.down()
    checkError(await errorOf(async () => drain(queue)), isDownError)
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [id, 'malformed'].sort() })
    expect(lockedNames(queue)).toEqual([])
    await queue.up()
    expect(await drain(queue)).toEqual([id])
  })

  test('an empty queue says so as well', async () => {
    const queue = await bed.install()
    await queue.down()
    checkError(await errorOf(async () => drain(queue)), isDownError)
  })

  test('any file will do, also a dangling link', async () => {
    const queue = await bed.install()
    fs.symlinkSync('nowhere', path.join(queue.path, 'down'))
    checkError(await errorOf(async () => drain(queue)), isDownError)
  })

  test.each([1, 3, 10])('in the middle, with %i claimed ahead', async (prefetch) => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 6)
    const taker = new Taker(queue, { prefetch })
    const first = await taker.take()
    await bed.open().down()
    checkError(await errorOf(async () => taker.next()), isDownError)
    // Items in work stay claimed; prefetched ones are free.
    expect(lockedNames(queue)).toEqual([all[0]])
    await first.done()
    expect(contents(queue)).toEqual({ ...EMPTY, queue: all.slice(1), done: [all[0]] })
  })

  test('in the middle of a loop without a pause', async () => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 60)
    const done: string[] = []
    const error = await errorOf(async () => {
      for await (const item of queue.scan()) {
        await item.done()
        if (done.push(item.id) === 30) await queue.down()
      }
    })
    checkError(error, isDownError)
    expect(done).toEqual(all.slice(0, 30))
    expect(lockedNames(queue)).toEqual([])
    expect(names(queue, 'queue')).toEqual(all.slice(30).sort())
  })

  test.each([1, undefined, 1000])(
    'by another program: nothing is handed out 10 ms later (prefetch %p)',
    async (prefetch) => {
      const queue = await bed.install({ durability: 'none' })
      plantNumbered(queue, 2000)
      const scan = queue.scan({ prefetch })
      const first = await scan.next()
      // Not by the package: it would tell the scan.
      fs.writeFileSync(path.join(queue.path, 'down'), '')
      const written = performance.now()
      let asked = written
      const error = await errorOf(async () => {
        for (let next = first; next.done !== true; next = await scan.next()) {
          expect(asked - written).toBeLessThan(10)
          await next.value.done()
          asked = performance.now()
        }
      })
      checkError(error, isDownError)
      expect(lockedNames(queue)).toEqual([])
    },
  )
})

describe('leaving the loop', () => {
  test.each([1, 4, undefined])(
    'by break releases the last and what was claimed ahead (%p)',
    async (prefetch) => {
      const queue = await bed.install()
      const all = plantNumbered(queue, 20)
      const done: string[] = []
      for await (const item of queue.scan({ prefetch })) {
        if (done.length === 5) break
        await item.done()
        done.push(item.id)
      }
      expect(native.heldClaims()).toBe(0)
      expect(lockedNames(queue)).toEqual([])
      expect(names(queue, 'queue')).toEqual(all.slice(5).sort())
      expect(await drain(queue)).toEqual(all.slice(5))
    },
  )

  test('by throw and by return as well', async () => {
    const queue = await bed.install()
    plantNumbered(queue, 5)
    async function leaveBy(how: 'throw' | 'return'): Promise<string> {
      for await (const item of queue.scan({ prefetch: 3 })) {
        if (how === 'throw') throw new Error('work failed')
        return item.id
      }
      return ''
    }
    await expect(leaveBy('throw')).rejects.toThrow('work failed')
    expect(lockedNames(queue)).toEqual([])
    expect(await leaveBy('return')).toBe(itemName({ entropy: 1 }))
    expect(lockedNames(queue)).toEqual([])
    expect(names(queue, 'queue')).toHaveLength(5)
  })

  test('leaves alone what is being finished', async () => {
    const queue = await bed.install()
    const [name = ''] = plantNumbered(queue, 2)
    const taker = new Taker(queue, { prefetch: 2 })
    const item = await taker.take()
    const finishing = item.done()
    await taker.leave()
    await finishing
    expect(names(queue, 'done')).toEqual([name])
    expect(lockedNames(queue)).toEqual([])
  })

  test('before the first item is harmless', async () => {
    const queue = await bed.install()
    plantNumbered(queue, 2)
    await queue.scan().return()
    const scan = queue.scan()
    const pending = scan.next()
    await scan.return()
    expect((await pending).value).toBeDefined()
    await until('nothing is held', () => native.heldClaims() === 0)
    expect(lockedNames(queue)).toEqual([])
  })

  test('at the end keeps what the loop went past', async () => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 3)
    const items: WorkItem[] = []
    for await (const item of queue.scan()) items.push(item)
    expect(items.map(({ claimed }) => claimed)).toEqual([true, true, true])
    expect(lockedNames(queue)).toEqual(all)
    expect(await drain(bed.open())).toEqual([])
    for (const item of items.reverse()) await item.done()
    expect(contents(queue)).toEqual({ ...EMPTY, done: all })
  })

  test('early keeps what it went past, too', async () => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 5)
    const taker = new Taker(queue, { prefetch: 5 })
    const first = await taker.take()
    await taker.take()
    await taker.leave()
    expect(lockedNames(queue)).toEqual([all[0]])
    expect(first.claimed).toBe(true)
    await first.done()
  })
})

describe('items of others', () => {
  test('two handles never get the same', async () => {
    const queue = await bed.install()
    const other = bed.open()
    const ids = await queue.enqueueMany(Array.from({ length: 150 }, (_, index) => ({ data: String(index) })))
    const got: string[][] = [[], []]
    const work = async (handle: Queue, mine: string[] = []): Promise<void> => {
      for await (const item of handle.scan()) {
        expect(contentOf(handle, 'queue', item.id)).toBe(await item.text())
        mine.push(item.id)
        await new Promise((resolve) => setImmediate(resolve))
        await item.done()
      }
    }
    await Promise.all([work(queue, got[0]), work(other, got[1])])
    // Items that one loop held when the other skipped them are for the next pass of the other.
    await work(queue, got[0])
    expect(got.flat().sort()).toEqual([...ids].sort())
    expect(names(queue, 'done')).toEqual([...ids].sort())
  })

  test('two loops of one handle do not either', async () => {
    const queue = await bed.install()
    plantNumbered(queue, 4)
    const one = new Taker(queue, { prefetch: 2 })
    const two = new Taker(queue, { prefetch: 2 })
    const got = [await one.take(), await two.take(), await one.take(), await two.take()].map(({ id }) => id)
    expect(got).toEqual([1, 3, 2, 4].map((entropy) => itemName({ entropy })))
    expect(await two.next()).toBeUndefined()
  })

  test('a locked one is skipped in silence and waits', async () => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 4)
    const held = bed.lock(pathOf(queue, 'queue', all[1] ?? ''))
    expect(await drain(queue)).toEqual([all[0], all[2], all[3]])
    expect(names(queue, 'queue')).toEqual([all[1]])
    expect(bed.reports).toEqual([])
    held.unlock()
    expect(await drain(queue)).toEqual([all[1]])
  })

  test('a locked one is skipped, whatever its name and age', async () => {
    const queue = await bed.install({ ttl: 1 })
    for (const name of ['malformed', itemName(), itemName({ tries: 5 })]) {
      bed.lock(plant(queue, name))
    }
    expect(await drain(queue)).toEqual([])
    expect(names(queue, 'queue')).toHaveLength(3)
    expect(bed.reports).toEqual([])
  })

  test('an item that another process has moved since the listing is skipped', async () => {
    const queue = await bed.install()
    const all = plantNumbered(queue, 5)
    const taker = new Taker(queue, { prefetch: 1 })
    await (await taker.take()).done()
    fs.renameSync(pathOf(queue, 'queue', all[1] ?? ''), pathOf(queue, 'done', all[1] ?? ''))
    fs.rmSync(pathOf(queue, 'queue', all[2] ?? ''))
    fs.rmSync(pathOf(queue, 'queue', all[3] ?? ''))
    fs.symlinkSync(bed.path('target'), pathOf(queue, 'queue', all[3] ?? ''))
    expect((await taker.take()).id).toBe(all[4])
    expect(await taker.next()).toBeUndefined()
    expect(bed.reportTypes()).toEqual(['foreign'])
  })
})

test('an item that is no longer referenced is released with a warning', async () => {
  const queue = await bed.install()
  const id = await queue.enqueue('x')
  interface Seen {
    readonly before: string[]
    readonly after: string[]
    readonly warnings: { name: string; code: string; message: string }[]
  }
  const seen = await inProgram<Seen>(
    `
    const warnings = []
    process.on('warning', ({ name, code, message }) => warnings.push({ name, code, message }))
    const queue = new Queue('q', { root: given.root })
    const other = new Queue('q', { root: given.root })
    const free = async () => {
      const ids = []
      for await (const item of other.scan()) { ids.push(item.id); item.release() }
      return ids
    }
    await (async () => { for await (const item of queue.scan()) void item.id })()
    const before = await free()
    await until(() => { globalThis.gc(); return warnings.length > 0 })
    return { before, after: await free(), warnings }`,
    { given: { root: bed.root }, flags: ['--expose-gc'] },
  )
  expect(seen.before).toEqual([])
  expect(seen.after).toEqual([id])
  expect(seen.warnings).toEqual([
    {
      name: 'FsqWarning',
      code: 'FSQ_ABANDONED',
      message: expect.stringMatching(/garbage-collected and has been released/),
    },
  ])
})

describe('the descriptor', () => {
  test('is at the beginning of the contents, and only that of the item', async () => {
    const queue = await bed.install()
    const data = 'line\n'.repeat(5000)
    await queue.enqueue(data)
    const item = await takeOne(queue)
    await item.text()
    const { stdout } = spawnSync('cat', { stdio: [item.fd, 'pipe', 'inherit'], encoding: 'utf8' })
    expect(stdout).toBe(data)
    expect(fs.fstatSync(item.fd).ino).toBe(fs.statSync(item.path).ino)
    await item.done()
  })

  test('is closed on exec: a child has just what it was given', async () => {
    const queue = await bed.install()
    plantNumbered(queue, 3)
    const item = await takeOne(queue, { prefetch: 3 })
    const { stdout } = spawnSync('sh', ['-c', 'ls -l /proc/self/fd'], {
      stdio: [item.fd, 'pipe', 'inherit'],
      encoding: 'utf8',
    })
    const ours = stdout.split('\n').filter((line) => line.includes(bed.root))
    expect(ours).toHaveLength(1)
    expect(ours[0]).toContain(item.path)
    await item.done()
  })
})

test('a scan of a handle that is closed meanwhile ends, and holds nothing', async () => {
  const queue = await bed.install()
  const all = plantNumbered(queue, 5)
  const taker = new Taker(queue, { prefetch: 2 })
  const item = await taker.take()
  const pending = taker.next()
  await Promise.allSettled([queue.close(), pending])
  expect(await errorOf(async () => new Taker(queue).next())).toBeInstanceOf(QueueClosedError)
  expect(item.claimed).toBe(false)
  expect(native.heldClaims()).toBe(0)
  expect(lockedNames(queue)).toEqual([])
  expect(names(queue, 'queue')).toEqual(all)
})

test('native code and its declaration agree on the numbers of a batch of claims', async () => {
  const queue = await bed.install()
  plant(queue, itemName({ entropy: 1 }))
  plant(queue, itemName({ entropy: 2 }))
  const claim = jest.spyOn(native, 'claim')
  await drain(queue, { prefetch: 2 })
  const batches = await Promise.all(
    claim.mock.results.map(async ({ value }) => value as ReturnType<typeof native.claim>),
  )
  expect(batches.length).toBeGreaterThan(0)
  for (const [numbers, claimed] of batches) expect(numbers).toHaveLength(claimNumbersAt(claimed.length))
})

test('a loop that is left before its first step gives the value that it is left with', async () => {
  const queue = await bed.install()
  const loop = queue.scan() as AsyncGenerator<WorkItem, unknown, undefined>
  expect(Object.prototype.toString.call(loop)).toBe('[object AsyncGenerator]')
  expect(await loop.return(5)).toEqual({ value: 5, done: true })
  expect(await loop.next()).toEqual({ value: undefined, done: true })
})

test('return() with a promise that rejects ends the loop, too', async () => {
  const queue = await bed.install()
  await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
  const loop = queue.scan()
  const { value: item } = await loop.next()
  expect(await errorOf(async () => loop.return(Promise.reject(new Error('no'))))).toMatchObject({
    message: 'no',
  })
  expect(item?.claimed).toBe(false)
  expect(await loop.next()).toEqual({ value: undefined, done: true })
})

test('a worker alone keeps the order behind items that it holds itself', async () => {
  const queue = await bed.install({ durability: 'none' })
  const numbered = (from: number, to: number): { data: string; args: string[] }[] =>
    Array.from({ length: to - from }, (_, index) => ({ data: 'x', args: [String(from + index)] }))
  await queue.enqueueMany(numbered(0, 100))
  const held: WorkItem[] = []
  // Leaving the loop releases the last one.
  for await (const item of queue.scan()) if (held.push(item) === 100) break
  // Only a scan that claims eight at once leaps, so there are claims before the items that are held.
  for (const item of held.splice(0, 60)) item.release()
  await queue.enqueueMany(numbered(100, 5000))
  const order: number[] = []
  for await (const item of queue.scan()) {
    order.push(Number(item.args[0]))
    await item.done()
  }
  expect(order).toEqual([...Array(60).keys(), ...Array.from({ length: 4901 }, (_, index) => 99 + index)])
  for (const item of held) item.release()
})
