import fs from 'node:fs'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { QueueClosedError, QueueMissingError, SettingError } from '../../src/errors/classes.js'
import type { PruneKeep } from '../../src/maintain/prune.js'
import type { Queue } from '../../src/queue.js'
import {
  type Directory,
  checkError,
  contents,
  drain,
  errorOf,
  inProgram,
  itemName,
  names,
  pathOf,
  plant,
  until,
  useTestBed,
} from '../support/queue.js'

const bed = useTestBed()
const HOUR = 3_600_000

afterEach(() => {
  jest.restoreAllMocks()
})

/** Files that came to a directory one after the other; their times are those of the kernel's clock. */
async function fill(queue: Queue, directory: Directory, count: number): Promise<void> {
  for (let entropy = 0; entropy < count; entropy++) {
    // The last to come is not the last by its name.
    plant(queue, itemName({ entropy: count - entropy }), '', directory)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('prune', () => {
  test('keeps the last ones, of done/ and of fail/ each', async () => {
    const queue = await bed.install()
    await queue.enqueue('')
    await fill(queue, 'done', 4)
    await fill(queue, 'fail', 3)
    expect(await queue.prune({ done: { count: 1 }, failed: { count: 2 } })).toEqual({ removed: 4 })
    expect(names(queue, 'done')).toEqual([itemName({ entropy: 1 })])
    expect(names(queue, 'fail')).toEqual([itemName({ entropy: 1 }), itemName({ entropy: 2 })])
    expect(names(queue, 'queue')).toHaveLength(1)
    expect(await queue.prune({ done: { count: 1 } })).toEqual({ removed: 0 })
  })

  test('keeps as many as it shall, where several came at the same moment', async () => {
    const queue = await bed.install()
    const lstat = fs.lstatSync.bind(fs) as (file: Buffer, options: object) => fs.Stats | undefined
    const withFewTimes = (file: Buffer, options: object): fs.Stats | undefined => {
      const info = lstat(file, options)
      return info && Object.assign(info, { ctimeMs: file.includes('_first') ? 1 : 2 })
    }
    jest.spyOn(fs, 'lstatSync').mockImplementation(withFewTimes as typeof fs.lstatSync)
    for (const arg of ['first', 'a', 'b', 'c', 'd']) plant(queue, itemName({ args: [arg] }), '', 'done')
    expect(await queue.prune({ done: { count: 2 } })).toEqual({ removed: 3 })
    expect(names(queue, 'done').filter((name) => !name.includes('_first'))).toHaveLength(2)
  })

  test('removes what is older, by when it came there', async () => {
    const queue = await bed.install()
    await fill(queue, 'done', 2)
    expect(await queue.prune({ done: { age: HOUR } })).toEqual({ removed: 0 })
    jest.spyOn(Date, 'now').mockReturnValue(Date.now() + HOUR + 1000)
    expect(await queue.prune({ failed: { age: HOUR } })).toEqual({ removed: 0 })
    expect(await queue.prune({ done: { age: HOUR } })).toEqual({ removed: 2 })
  })

  test('by age and count removes what is too old or too much', async () => {
    const queue = await bed.install()
    await fill(queue, 'fail', 3)
    expect(await queue.prune({ failed: { age: HOUR, count: 2 } })).toEqual({ removed: 1 })
    jest.spyOn(Date, 'now').mockReturnValue(Date.now() + HOUR + 1000)
    expect(await queue.prune({ failed: { age: HOUR, count: 2 } })).toEqual({ removed: 2 })
  })

  test('leaves what is no regular file', async () => {
    const queue = await bed.install()
    fs.mkdirSync(bed.path('q', 'done', 'directory'))
    fs.symlinkSync('nowhere', bed.path('q', 'done', 'link'))
    expect(await queue.prune({ done: { age: 0 } })).toEqual({ removed: 0 })
    expect(names(queue, 'done')).toEqual(['directory', 'link'])
  })

  test('leaves what is in queue/, too: without this name, that one would run again', async () => {
    const queue = await bed.install()
    plant(queue, itemName(), '', 'done')
    fs.linkSync(pathOf(queue, 'done', itemName()), pathOf(queue, 'queue', itemName()))
    expect(await queue.prune({ done: { count: 0 } })).toEqual({ removed: 0 })
    expect(await drain(queue)).toEqual([])
    expect(await queue.prune({ done: { count: 0 } })).toEqual({ removed: 1 })
    expect(contents(queue)).toEqual({ queue: [], tmp: [], done: [], fail: [] })
  })

  test.each<[unknown, RegExp]>([
    [{}, /limits for done or failed/],
    [{ done: undefined }, /limits for done or failed/],
    [{ done: {} }, /^done is \{\}, expected limits: \{ age \}, \{ count \}, or both/],
    [{ done: 5 }, /^done is 5, expected limits/],
    [{ waiting: { count: 0 } }, /'waiting'/],
    [{ done: { size: 5 } }, /'size'/],
    [{ done: { age: -1 } }, /milliseconds/],
    [{ done: { age: '1d' } }, /milliseconds/],
    [{ failed: { count: 1.5 } }, /a whole number/],
    [{ done: { count: 0 }, failed: { count: -1 } }, /a whole number/],
  ])('refuses %j', async (keep, says) => {
    const queue = await bed.install()
    plant(queue, itemName(), '', 'done')
    checkError(await errorOf(async () => queue.prune(keep as PruneKeep)), { type: SettingError, says })
    expect(names(queue, 'done')).toHaveLength(1)
  })

  test('needs a queue, and a handle that stays open', async () => {
    checkError(await errorOf(async () => bed.open().prune({ done: { count: 0 } })), {
      type: QueueMissingError,
      cause: 'ENOENT',
      says: /There is no queue 'q'/,
    })
    const queue = await bed.install()
    for (let entropy = 0; entropy < 9; entropy++) plant(queue, itemName({ entropy }), '', 'done')
    await queue.isEmpty()
    let now = 0
    // Each entry takes longer than a slice.
    jest.spyOn(performance, 'now').mockImplementation(() => (now += 1000))
    const begun = errorOf(async () => queue.prune({ done: { count: 0 } }))
    await queue.close()
    checkError(await begun, { type: QueueClosedError, says: /has been closed/ })
    expect(names(queue, 'done')).toHaveLength(9)
  })
})

test('beside workers in other processes, nothing but finished items is removed', async () => {
  const queue = await bed.install({ durability: 'none' })
  const worker = `
    const queue = new Queue('q', { root: given.root, durability: 'none' })
    const stop = new AbortController()
    const worked = []
    void until(() => fs.existsSync(path.join(given.root, 'stop'))).then(() => stop.abort())
    try {
      for await (const item of queue.scanForever({ signal: stop.signal })) {
        worked.push(item.args[0])
        await item.done()
      }
    } catch (error) {
      if (!stop.signal.aborted) throw error
    }
    await queue.close()
    return worked`
  const workers = [1, 2].map(async () => inProgram<string[]>(worker, { given: { root: bed.root } }))
  const args = Array.from({ length: 600 }, (_, index) => String(index))
  let removed = 0
  for (let from = 0; from < args.length; from += 20) {
    await queue.enqueueMany(args.slice(from, from + 20).map((arg) => ({ args: [arg] })))
    removed += (await queue.prune({ done: { count: 5 } })).removed
  }
  await until('all is done', async () => queue.isEmpty())
  removed += (await queue.prune({ done: { count: 5 } })).removed
  fs.writeFileSync(bed.path('stop'), '')
  const worked = (await Promise.all(workers)).flat()
  expect(worked.sort()).toEqual(args.sort())
  expect({ removed, done: names(queue, 'done').length }).toEqual({ removed: 595, done: 5 })
})
