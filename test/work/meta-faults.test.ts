// A worker whose meta/ cannot be used: the items move as they would, and each part of meta/ is reported once.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { native } from '../../src/addon/native.js'
import { PermanentFailure, RetryLater } from '../../src/errors/classes.js'
import { itemKey } from '../../src/name/item-name.js'
import type { Queue } from '../../src/queue.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { ifRoot, onLinux } from '../support/needs.js'
import { inProgram, names, until, useTestBed } from '../support/queue.js'

const bed = useTestBed({ quick: true })

const HOWS = ['returns', 'throws', 'permanent', 'later', 'discard'] as const

afterEach(() => {
  jest.restoreAllMocks()
})

const hasRun = new Set<string>()

async function handle(item: WorkItem): Promise<void> {
  const [how] = item.args
  const isFirst = !hasRun.has(item.key)
  hasRun.add(item.key)
  if (how === 'permanent') throw new PermanentFailure('never')
  if (how === 'discard') await item.discard()
  if (isFirst && how === 'throws') throw new Error('no luck')
  if (isFirst && how === 'later') throw new RetryLater({ after: 1 })
}

async function queueWithItems(): Promise<Queue> {
  const queue = await bed.install({ durability: 'none', maxTries: 3, force: true })
  for (const how of HOWS) queue.enqueueSync(null, [how])
  return queue
}

/** Works all items; gives back where they are, and what was reported. */
async function workAll(queue: Queue): Promise<{ places: unknown; reports: string[] }> {
  const worker = await queue.work(handle, { backoff: 0, concurrency: 2 })
  const errors: unknown[] = []
  worker.on('error', (error) => errors.push(error))
  await until('all are worked', () => worker.counters.done + worker.counters.failed === HOWS.length)
  expect(await worker.close()).toEqual({ left: [] })
  expect(errors).toEqual([])
  expect(worker.counters).toMatchObject({ started: 7, done: 4, failed: 1, retried: 1, postponed: 1 })
  const hows = (place: 'done' | 'fail'): string[] =>
    names(queue, place)
      .map((name) => name.split('_')[6] ?? '')
      .sort()
  const places = { queue: names(queue, 'queue'), done: hows('done'), fail: hows('fail') }
  const reports = bed.reports.map(({ type, name }) => `${type} ${name}`)
  bed.reports.length = 0
  return { places, reports: reports.sort() }
}

const WORKED = { queue: [], done: ['later', 'returns', 'throws'], fail: ['permanent'] }
const BOTH = ['meta meta/log', 'meta meta/workers']

type Call = (...args: unknown[]) => unknown

/** Whether a call is one on meta/, by its path or its descriptor. */
function isOnMeta(target: unknown): boolean {
  if (typeof target !== 'number') return String(target).includes('/meta')
  try {
    return fs.readlinkSync(`/proc/self/fd/${target}`).includes('/meta')
  } catch {
    return false
  }
}

function failingWith(code: string, syscall: string): Error {
  const errno = -os.constants.errno[code as 'EIO']
  return Object.assign(new Error(`${code}: ${syscall}`), { code, errno, syscall })
}

/** Lets each call on meta/ fail. */
function breakCall(name: string, code: string): void {
  const calls = fs as unknown as Record<string, Call>
  const call = (calls[name] as Call).bind(fs)
  jest.spyOn(calls, name as never).mockImplementation((...args: unknown[]): unknown => {
    if (isOnMeta(args[0])) throw failingWith(code, name)
    return call(...args)
  })
}

const CALLS: Readonly<Record<string, readonly string[]>> = {
  mkdirSync: ['EACCES', 'EROFS', 'ENOSPC', 'EDQUOT'],
  openSync: ['EACCES', 'EROFS', 'ENOSPC', 'EMFILE', 'ENFILE', 'EIO'],
  writeSync: ['ENOSPC', 'EDQUOT', 'EIO', 'EFBIG'],
  readSync: ['EIO'],
  fstatSync: ['EIO'],
  lstatSync: ['EACCES', 'EIO'],
  fchmodSync: ['EPERM', 'EROFS', 'EIO'],
  readdirSync: ['EACCES', 'EIO', 'EMFILE'],
  renameSync: ['EACCES', 'ENOSPC', 'EIO'],
  unlinkSync: ['EACCES', 'EIO'],
  closeSync: ['EIO'],
}

describe('a call on meta/ that fails each time', () => {
  const cases = Object.entries(CALLS).flatMap(([name, codes]) => codes.map((code) => [name, code] as const))
  onLinux.each(cases)('%s: %s', async (name, code) => {
    const queue = await queueWithItems()
    breakCall(name, code)
    const { places, reports } = await workAll(queue)
    expect(places).toEqual(WORKED)
    expect(reports).toEqual([...new Set(reports)])
    expect(BOTH).toEqual(expect.arrayContaining(reports))
    if (name === 'mkdirSync') expect(reports).toEqual(BOTH)
    // Lines of logs are written by native code: test/crash/ fails its calls.
    if (name === 'writeSync') expect(reports).toEqual(['meta meta/workers'])
  })

  test.each(['EIO', 'ENOLCK', 'EINVAL'])('the lock: %s', async (code) => {
    const queue = await queueWithItems()
    jest.spyOn(native, 'lockDescriptor').mockReturnValue(-os.constants.errno[code as 'EIO'])
    const { places, reports } = await workAll(queue)
    expect(places).toEqual(WORKED)
    expect(reports).toEqual(['meta meta/workers'])
  })

  test('a log that cannot be opened', async () => {
    const queue = await queueWithItems()
    for (const name of names(queue, 'queue'))
      fs.mkdirSync(path.join(queue.path, 'meta/log', itemKey(name, '%')), { recursive: true })
    expect(await workAll(queue)).toEqual({ places: WORKED, reports: ['meta meta/log'] })
  })
})

describe('meta/ in another form', () => {
  test('a file', async () => {
    const queue = await queueWithItems()
    fs.writeFileSync(path.join(queue.path, 'meta'), 'of another program')
    expect(await workAll(queue)).toEqual({ places: WORKED, reports: BOTH })
    expect(fs.readFileSync(path.join(queue.path, 'meta'), 'utf8')).toBe('of another program')
  })

  test.each(['log', 'workers'])(
    'meta/%s is a symbolic link: nothing is written where it leads',
    async (part) => {
      const queue = await queueWithItems()
      const elsewhere = bed.path('elsewhere')
      fs.mkdirSync(elsewhere)
      fs.mkdirSync(path.join(queue.path, 'meta'))
      fs.symlinkSync(elsewhere, path.join(queue.path, 'meta', part))
      expect(await workAll(queue)).toEqual({ places: WORKED, reports: [`meta meta/${part}`] })
      expect(fs.readdirSync(elsewhere)).toEqual([])
    },
  )

  ifRoot('not writable for the user of the worker', async () => {
    const queue = await bed.install({ queueMode: 0o777, itemMode: 0o666, durability: 'none' })
    fs.mkdirSync(path.join(queue.path, 'meta'), { mode: 0o755 })
    queue.enqueueSync(null, ['a'])
    fs.chmodSync(bed.root, 0o755)
    const answer = await inProgram<{ reports: string[]; done: number }>(
      `
      const reports = []
      const queue = new Queue('q', { root: given.root, maxTries: 3, onReport: ({ type, name }) => reports.push(type + ' ' + name) })
      let runs = 0
      const worker = await queue.work(() => { if (runs++ === 0) throw new Error('no luck') }, { backoff: 0 })
      await until(() => worker.counters.done === 1)
      await queue.close()
      return { reports: reports.sort(), done: worker.counters.done }
      `,
      { given: { root: bed.root }, nobody: true },
    )
    expect(answer).toEqual({ reports: BOTH, done: 1 })
  })
})
