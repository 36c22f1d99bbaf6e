/** `queue.repair()`; each way to mend is tested with `fsq repair`. */
import fs from 'node:fs'

import { describe, expect, test } from '@jest/globals'

import { QueueClosedError, QueueMissingError, SettingError } from '../../src/errors/classes.js'
import type { RepairOptions } from '../../src/maintain/repair.js'
import { checkError, contents, errorOf, itemName, names, plant, useTestBed } from '../support/queue.js'

const bed = useTestBed()
const LONG_AGO = new Date('2020-01-01')

describe('repair', () => {
  test('mends what can be mended, and tells what cannot', async () => {
    const queue = await bed.install()
    plant(queue, 'README')
    plant(queue, itemName())
    fs.utimesSync(plant(queue, 'draft', '', 'tmp'), LONG_AGO, LONG_AGO)
    plant(queue, 'new-draft', '', 'tmp')
    fs.chmodSync(queue.paths.done, 0o700)
    fs.mkdirSync(bed.path('q', 'fail', 'directory'))
    const before = contents(queue)

    const dry = await queue.repair({ dryRun: true })
    expect(contents(queue)).toEqual(before)
    const { mended, unmended } = await queue.repair()
    expect({ mended, unmended }).toEqual(dry)
    expect(mended.map(({ kind, path }) => [kind, path]).sort()).toEqual([
      ['malformed', bed.path('q', 'queue', 'README')],
      ['mode', queue.paths.done],
      ['stale', bed.path('q', 'tmp', 'draft')],
    ])
    expect(unmended).toEqual([
      {
        kind: 'foreign',
        path: bed.path('q', 'fail', 'directory'),
        message: expect.any(String),
        reason: 'Only a person can mend it',
      },
    ])
    expect(contents(queue)).toEqual({
      queue: [itemName()],
      tmp: ['new-draft'],
      done: [],
      fail: ['README', 'directory'],
    })
    expect(fs.statSync(queue.paths.done).mode & 0o7777).toBe(0o2770)
    expect(await queue.repair()).toEqual({ mended: [], unmended })
  })

  test('leaves what a worker holds', async () => {
    const queue = await bed.install({ ttl: 60 })
    const lock = bed.lock(plant(queue, itemName()))
    expect(await queue.repair()).toMatchObject({
      mended: [],
      unmended: [{ kind: 'expired', reason: 'A worker holds it' }],
    })
    expect(names(queue, 'queue')).toHaveLength(1)
    lock.unlock()
    expect(await queue.repair()).toMatchObject({ mended: [{ kind: 'expired' }], unmended: [] })
    expect(names(queue, 'fail')).toHaveLength(1)
  })

  test('goes on after what cannot be mended', async () => {
    const queue = await bed.install()
    const [one, two] = ['one', 'two'].map((name) => plant(queue, name, '', 'tmp'))
    for (const file of [one, two]) fs.utimesSync(file ?? '', LONG_AGO, LONG_AGO)
    fs.chmodSync(plant(queue, itemName()), 0o400)
    fs.linkSync(bed.path('q', 'queue', itemName()), bed.path('planted'))
    const { mended, unmended } = await queue.repair()
    expect(mended.map(({ kind }) => kind)).toEqual(['stale', 'stale'])
    expect(unmended).toMatchObject([{ kind: 'mode', reason: /more than one name/ }])
  })

  test.each<[unknown, RegExp]>([
    [{ dryRun: 'yes' }, /true or false/],
    [{ dry: true }, /'dry'/],
    [null, /an object/],
  ])('refuses %j', async (options, says) => {
    const queue = await bed.install()
    plant(queue, 'README')
    checkError(await errorOf(async () => queue.repair(options as RepairOptions)), {
      type: SettingError,
      says,
    })
    expect(names(queue, 'queue')).toEqual(['README'])
  })

  test('needs a queue, and an open handle', async () => {
    checkError(await errorOf(async () => bed.open().repair()), {
      type: QueueMissingError,
      cause: 'ENOENT',
      says: /There is no queue 'q'/,
    })
    const queue = await bed.install()
    await queue.close()
    checkError(await errorOf(async () => queue.repair()), { type: QueueClosedError, says: /has been closed/ })
  })
})
