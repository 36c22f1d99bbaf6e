import fs from 'node:fs'
import process from 'node:process'

import { afterEach, expect, jest, test } from '@jest/globals'

import { layoutOf } from '../../src/directory/layout.js'
import { DoneBacklog } from '../../src/work/backlog.js'
import { itemName, plant, until, useTestBed } from '../support/queue.js'

const bed = useTestBed({ quick: true })

afterEach(() => {
  jest.restoreAllMocks()
})

function warnings(): unknown[][] {
  return jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined).mock.calls
}

test('one warning above the limit, and one for all workers of a queue', async () => {
  const queue = await bed.install()
  const warned = warnings()
  const layout = layoutOf(queue.name, queue.settings)
  const backlogs = [new DoneBacklog(layout, 20), new DoneBacklog(layout, 20)]
  const look = async (): Promise<void> => {
    for (const backlog of backlogs) await backlog.look()
  }
  for (let entropy = 0; entropy < 20; entropy++) plant(queue, itemName({ entropy }), '', 'done')
  await look()
  expect(warned).toEqual([])
  plant(queue, itemName({ entropy: 20 }), '', 'done')
  await look()
  await look()
  expect(warned).toEqual([
    [expect.stringContaining('21 files are in done/'), { type: 'FsqWarning', code: 'FSQ_MANY_DONE' }],
  ])
  for (const backlog of backlogs) backlog.end()
})

test('done/ is listed only if it is large enough and has changed', async () => {
  const queue = await bed.install()
  const list = jest.spyOn(fs.promises, 'readdir')
  const layout = layoutOf(queue.name, queue.settings)
  const large = new DoneBacklog(layout)
  await large.look()
  expect(list).toHaveBeenCalledTimes(0)
  const small = new DoneBacklog(layout, 1)
  plant(queue, itemName(), '', 'done')
  await small.look()
  await small.look()
  expect(list).toHaveBeenCalledTimes(1)
  fs.rmSync(queue.path, { recursive: true })
  await small.look()
  for (const backlog of [large, small]) backlog.end()
})

test.each([
  ['all', undefined, 1],
  ['also-all', true, 1],
  ['none', false, 0],
  ['some', { count: 1000 }, 0],
])(
  'a worker that keeps %s of 100,001 done items, by keepDone %p: %i warnings',
  async (name, keepDone, count) => {
    // Each has a queue of its own, as one warning is all that there is for a queue.
    const queue = await bed.install({}, name)
    const warned = warnings()
    const info = Object.assign(fs.statSync(queue.path), { size: 4_000_000 })
    const stat = jest.spyOn(fs.promises, 'stat').mockResolvedValue(info)
    jest.spyOn(fs.promises, 'readdir').mockResolvedValue(Array.from({ length: 100_001 }, String) as never)
    const worker = await queue.work(() => undefined, { keepDone })
    if (count > 0) await until('it has warned', () => warned.length > 0)
    await worker.idle()
    expect(warned).toHaveLength(count)
    expect(stat).toHaveBeenCalledTimes(count)
  },
)
