import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import type { Queue } from '../../src/queue.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import {
  type ShownError,
  inProgram,
  itemName,
  names,
  pathOf,
  plant,
  until,
  useTestBed,
} from '../support/queue.js'

const bed = useTestBed()
// More than one step takes.
const OLD = 5_000

/** After so many finishes, a worker looks at done/. */
async function finishThousand(queue: Queue): Promise<void> {
  await queue.enqueueMany(Array.from({ length: 1000 }, () => ({ data: null })))
}

// The benchmark 'retention' measures how fast.
test('removes old items in several steps', async () => {
  const queue = await bed.install({ durability: 'none' })
  for (let entropy = 1; entropy <= OLD; entropy++) plant(queue, itemName({ entropy }), '', 'done')
  await finishThousand(queue)
  await queue.work(() => undefined, { concurrency: 32, keepDone: { age: 0 } })
  await until('they are gone', () => !names(queue, 'done').some((name) => name.includes('20120710')))
})

test('keeps the last ones; of those that came at one moment, as many as it shall', async () => {
  const queue = await bed.install({ durability: 'none' })
  for (let entropy = 1; entropy <= 3000; entropy++) plant(queue, itemName({ entropy }), '', 'done')
  await finishThousand(queue)
  await queue.work(() => undefined, { concurrency: 32, keepDone: { count: 1234 } })
  await until('as many as shall are left', () => names(queue, 'done').length === 1234)
})

test('of the old items, leaves what is in queue/, too, and what is no file, and removes logs', async () => {
  const queue = await bed.install({ durability: 'none' })
  const log = path.join(queue.path, 'meta', 'log')
  fs.mkdirSync(log, { recursive: true })
  const [half, twice, logged] = [0, 1, 2].map((entropy) => itemName({ entropy })) as [string, string, string]
  for (const name of [half, twice, logged]) plant(queue, name, '', 'done')
  fs.writeFileSync(path.join(log, '_20120710213904_2_13044_mss_x'), '')
  fs.mkdirSync(bed.path('q', 'done', 'directory'))
  fs.linkSync(pathOf(queue, 'done', twice), bed.path('elsewhere'))
  await finishThousand(queue)
  // Delayed, so that no claim completes the move.
  fs.linkSync(pathOf(queue, 'done', half), pathOf(queue, 'queue', half))
  fs.utimesSync(pathOf(queue, 'queue', half), new Date(), new Date(Date.now() + 3_600_000))
  await queue.work(() => undefined, { concurrency: 32, keepDone: { age: 0, count: 0 } })
  await until('the others are gone', () => {
    const left = names(queue, 'done')
    return !left.includes(logged) && !left.includes(twice)
  })
  expect(names(queue, 'done')).toEqual(expect.arrayContaining([half, 'directory']))
  await until('the log is gone', () => fs.readdirSync(log).length === 0)
})

test('an item that cannot be removed is told, and keeps no other one', async () => {
  const queue = await bed.install({ durability: 'none' })
  for (let entropy = 0; entropy < 100; entropy++) plant(queue, itemName({ entropy }), '', 'done')
  await finishThousand(queue)
  const told = await inProgram<ShownError>(
    `const queue = new Queue('q', { root: given.root, durability: 'none' })
    const worker = await queue.work(() => undefined, { concurrency: 32, keepDone: { age: 0 } })
    const told = await new Promise((resolve) => worker.once('error', resolve))
    await queue.close()
    return show(told)`,
    {
      given: { root: bed.root },
      env: {
        NODE_OPTIONS: `--require "${FAULT_BUILD}"`,
        FSQ_FAULTS: `prune.unlink#50=errno:${os.constants.errno.EACCES}`,
      },
    },
  )
  expect(told).toMatchObject({
    name: 'PermissionError',
    path: expect.stringContaining(path.join('q', 'done')),
  })
  const kept = path.basename(told.path ?? '')
  expect(names(queue, 'done')).toContain(kept)
  // Items that were finished within the millisecond of the clean-up may stay.
  expect(names(queue, 'done').filter((name) => name.includes('20120710') && name !== kept)).toEqual([])
})
