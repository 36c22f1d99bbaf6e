import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import process from 'node:process'

import { describe, expect, test } from '@jest/globals'

import { SettingError } from '../../src/errors/classes.js'
import { ifRoot } from '../support/needs.js'
import {
  EMPTY,
  NOBODY,
  checkError,
  contentOf,
  contents,
  errorOf,
  inProgram,
  names,
  pathOf,
  plant,
  takeOne,
  useTestBed,
} from '../support/queue.js'
import { ways, waysAndPayloads } from './ways.js'
import { compareItemNames } from '../support/fifo-order.js'

const bed = useTestBed()

describe.each(waysAndPayloads)('%s', (_what, enqueue, data) => {
  test('makes one file whose name says it all', async () => {
    const queue = await bed.install({ utc: true })
    const before = Math.floor(Date.now() / 1000) * 1000
    const id = await enqueue(queue, data, ['args', 'to', 'enqueue'])
    const after = Date.now()
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [id] })
    expect(contentOf(queue, 'queue', id)).toBe(data ?? '')
    expect(fs.lstatSync(pathOf(queue, 'queue', id))).toMatchObject({ nlink: 1, mode: 0o100640 })
    const [, timestamp = '', entropy, ...rest] = id.split('_')
    expect(entropy).toMatch(/^\d+$/)
    expect(rest).toEqual([String(process.pid), os.hostname(), '0', 'args', 'to', 'enqueue'])
    const item = await takeOne(queue)
    expect(timestamp).toBe(item.enqueuedAt.toISOString().replace(/[-T:]|\..*/g, ''))
    expect(item.enqueuedAt.getTime()).toBeGreaterThanOrEqual(before)
    expect(item.enqueuedAt.getTime()).toBeLessThanOrEqual(after)
    expect(item).toMatchObject({ id, entropy, pid: String(process.pid), hostname: os.hostname(), tries: 0 })
    expect(item.args).toEqual(['args', 'to', 'enqueue'])
  })

  test('never takes a name that is taken', async () => {
    // A timestamp that never changes, so that the names to come are known.
    const queue = await bed.install({ timefmt: 'now', durability: 'none' })
    const first = await enqueue(queue, data, ['x'])
    const [, , entropy = '', ...rest] = first.split('_')
    const taken: string[] = []
    for (let ahead = 1; ahead <= 2000; ahead++) {
      taken.push(['', 'now', Number(entropy) + ahead, ...rest].join('_'))
    }
    for (const name of taken) plant(queue, name, 'planted')
    const ids = []
    for (let count = 0; count < 20; count++) ids.push(await enqueue(queue, data, ['x']))

    expect(new Set([...taken, ...ids, first]).size).toBe(2021)
    expect(names(queue, 'queue')).toEqual([...taken, ...ids, first].sort())
    expect(taken.filter((name) => contentOf(queue, 'queue', name) !== 'planted')).toEqual([])
    expect(ids.map((id) => contentOf(queue, 'queue', id))).toEqual(ids.map(() => data ?? ''))
    expect(names(queue, 'tmp')).toEqual([])
    // The later items are still in order.
    expect([...ids].sort(compareItemNames)).toEqual(ids)
  })

  test('takes a name that something else than a file has for taken', async () => {
    const queue = await bed.install({ timefmt: 'now' })
    const first = await enqueue(queue, data, [])
    const [, , entropy = '', ...rest] = first.split('_')
    const nameAhead = (ahead: number): string => ['', 'now', Number(entropy) + ahead, ...rest].join('_')
    fs.symlinkSync('../../elsewhere', pathOf(queue, 'queue', nameAhead(1)))
    const id = await enqueue(queue, data, [])
    expect(id).not.toBe(nameAhead(1))
    expect(fs.lstatSync(pathOf(queue, 'queue', id)).isFile()).toBe(true)
    expect(fs.existsSync(bed.path('elsewhere'))).toBe(false)
  })
})

describe('the mode is exact', () => {
  interface Seen {
    readonly mode: number
    readonly what: string
  }

  const body = `
    process.umask(given.umask)
    const queue = new Queue('q', { root: given.root, ...given.options })
    const seen = []
    for (const late of [given.umask, 0o027, 0]) {
      process.umask(late)
      for (const data of [null, 'x', { path: process.execPath.length > 0 ? given.file : '' }]) {
        const ids = [await queue.enqueue(data), queue.enqueueSync(data), ...(await queue.enqueueMany([{ data }]))]
        for (const id of ids) {
          const { mode } = fs.statSync(path.join(queue.path, 'queue', id))
          seen.push({ mode: mode & 0o7777, what: JSON.stringify(data) + ' under ' + late.toString(8) })
        }
      }
    }
    return seen`

  const cases = [0o077, 0o000, 0o777].flatMap((umask) =>
    [undefined, '0666', '02600'].map((itemMode) => [umask.toString(8), umask, itemMode] as const),
  )

  test.each(cases)('under umask %s (%i), with FSQ_ITEM_MODE %p', async (_octal, umask, itemMode) => {
    const queue = await bed.install({ itemMode })
    fs.writeFileSync(bed.path('file'), 'x')
    const given = { umask, root: bed.root, options: { itemMode }, file: bed.path('file') }
    const seen = await inProgram<Seen[]>(body, { given })
    expect(seen).toHaveLength(27)
    expect(seen.filter(({ mode }) => mode !== queue.settings.itemMode)).toEqual([])
  })
})

test('the mode is exact right after a change of the umask, while many items are added', async () => {
  const queue = await bed.install({ durability: 'none' })
  const modes = await inProgram<number[]>(
    `
    process.umask(0o022)
    const queue = new Queue('q', { root: given.root, durability: 'none' })
    const ids = []
    for (let round = 0; round < 30; round++) {
      for (let count = 0; count < 10; count++) ids.push(await queue.enqueue('x'), queue.enqueueSync(null))
      const late = Array.from({ length: 32 }, () => queue.enqueue('x'))
      process.umask(round % 2 === 0 ? 0o077 : 0o022)
      ids.push(queue.enqueueSync('x'), await queue.enqueue('x'), ...await Promise.all(late))
    }
    return ids.map((id) => fs.statSync(path.join(queue.paths.queue, id)).mode & 0o7777)`,
    { given: { root: bed.root } },
  )
  expect(modes).toHaveLength(30 * 54)
  expect(modes.filter((mode) => mode !== queue.settings.itemMode)).toEqual([])
})

describe('the owner', () => {
  ifRoot.each(waysAndPayloads)(
    'of %s, by ids and by names, with all bits of the mode',
    async (_what, enqueue, data) => {
      const group = execFileSync('id', ['-gn', String(NOBODY)], { encoding: 'utf8' }).trim()
      const options = { itemUser: NOBODY, itemGroup: group, itemMode: '6750' }
      const queue = await bed.install(options)
      const id = await enqueue(queue, data, [])
      const info = fs.statSync(pathOf(queue, 'queue', id))
      expect(info).toMatchObject({ uid: NOBODY, gid: NOBODY, mode: 0o106750 })
    },
  )

  ifRoot('is left where it is not set', async () => {
    const queue = await bed.install({ itemGroup: NOBODY })
    const id = await queue.enqueue('x')
    expect(fs.statSync(pathOf(queue, 'queue', id))).toMatchObject({ uid: process.getuid?.(), gid: NOBODY })
  })

  test.each([
    ['itemUser', 'FSQ_ITEM_USER', 'user'],
    ['itemGroup', 'FSQ_ITEM_GROUP', 'group'],
  ])('%s that no account has is an error, and nothing is written', async (option, variable, what) => {
    const name = 'nobody-has-this-name'
    await bed.install()
    const queue = bed.open({ [option]: name })
    for (const [, enqueue] of ways) {
      const error = await errorOf(async () => enqueue(queue, 'x', []))
      const says = new RegExp(`${variable} is '${name}', expected the name of a ${what}.*Or give an id`)
      checkError(error, { type: SettingError, says })
    }
    expect(contents(queue)).toEqual(EMPTY)
  })
})

test('the file is there, whole, when the id is', async () => {
  const queue = await bed.install()
  const seen = await Promise.all(
    Array.from({ length: 50 }, async (_, index) => {
      const id = await queue.enqueue(`data ${index}`)
      return contentOf(queue, 'queue', id) === `data ${index}`
    }),
  )
  expect(seen).not.toContain(false)
})
