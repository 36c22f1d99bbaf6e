/** `queue.audit()`; what it finds is tested with `fsq audit`. */
import fs from 'node:fs'

import { describe, expect, test } from '@jest/globals'

import { QueueClosedError, QueueMissingError } from '../../src/errors/classes.js'
import type { Finding } from '../../src/inspect/finding.js'
import type { Queue } from '../../src/queue.js'
import { checkError, contents, errorOf, isLocked, itemName, plant, useTestBed } from '../support/queue.js'

const bed = useTestBed()

async function findings(queue: Queue): Promise<Finding[]> {
  const found: Finding[] = []
  for await (const finding of queue.audit()) found.push(finding)
  return found
}

describe('audit', () => {
  test('finds nothing where all is well', async () => {
    const queue = await bed.install()
    await queue.enqueue('')
    expect(await findings(queue)).toEqual([])
  })

  test('tells what is wrong, with what, and what would mend it, and changes nothing', async () => {
    const queue = await bed.install({ ttl: 60 })
    const file = plant(queue, 'README')
    plant(queue, itemName())
    fs.chmodSync(queue.paths.done, 0o700)
    fs.mkdirSync(bed.path('q', 'fail', 'directory'))
    const before = contents(queue)
    const found = await findings(queue)
    expect(found.sort((a, b) => a.kind.localeCompare(b.kind))).toEqual([
      {
        kind: 'expired',
        path: bed.path('q', 'queue', itemName()),
        message: expect.stringMatching(/ old, and 60 s are allowed$/),
        fix: { action: 'move to fail/' },
      },
      { kind: 'foreign', path: bed.path('q', 'fail', 'directory'), message: expect.any(String) },
      {
        kind: 'malformed',
        path: bed.path('q', 'queue', 'README'),
        message: 'has a name that no item has',
        fix: { action: 'move to fail/' },
      },
      {
        kind: 'mode',
        path: queue.paths.done,
        message: 'has mode 700, and the queue has 2770',
        fix: { action: 'set mode', mode: 0o2770 },
      },
    ])
    expect(contents(queue)).toEqual(before)
    expect(isLocked(file)).toBe(false)
  })

  test('finds a name whose tries cannot grow, be it too long or the number too large', async () => {
    const queue = await bed.install()
    plant(queue, itemName({ tries: '9'.repeat(15) }))
    plant(queue, itemName({ tries: 9 }).padEnd(255, 'x'))
    plant(queue, itemName({ tries: 8 }).padEnd(255, 'y'))
    expect((await findings(queue)).map(({ kind }) => kind)).toEqual(['ungrowable', 'ungrowable'])
  })

  test('works where a directory is missing', async () => {
    const queue = await bed.install()
    fs.rmdirSync(queue.paths.done)
    expect((await findings(queue)).map(({ kind }) => kind)).toEqual(['missing'])
  })

  test('needs a queue, and an open handle', async () => {
    checkError(await errorOf(async () => findings(bed.open())), {
      type: QueueMissingError,
      cause: 'ENOENT',
      says: /There is no queue 'q'/,
    })
    const queue = await bed.install()
    await queue.close()
    checkError(await errorOf(async () => findings(queue)), {
      type: QueueClosedError,
      says: /has been closed/,
    })
  })
})
