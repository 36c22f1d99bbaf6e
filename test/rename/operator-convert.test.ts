/** Conversions of queues to claims by renaming. */
import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { SettingError } from '../../src/errors/classes.js'
import { tryLockSync } from '../../src/lock.js'
import type { Queue } from '../../src/queue.js'
import { checkError, errorOf, names, pathOf, useTestBed } from '../support/queue.js'

const bed = useTestBed()
const CONVERTED = ['claimed', 'claims-rename', 'done', 'down', 'fail', 'queue', 'tmp']
const LOCKING = ['done', 'fail', 'queue', 'tmp']

const partsOf = (queue: Queue): string[] => fs.readdirSync(queue.path).sort()

async function unsound(queue: Queue): Promise<string[]> {
  const found: string[] = []
  for await (const { path: file, message } of queue.audit()) found.push(`${file} ${message}`)
  return found
}

describe.each(['flock', 'fcntl'] as const)('a queue with %s', (lockKind) => {
  test('is converted, and keeps its items', async () => {
    const queue = await bed.install({ lockKind, itemMode: '0660' })
    const id = await queue.enqueue('x')
    const { mended, unmended } = await queue.repair({ claims: 'rename' })
    expect(unmended).toEqual([])
    expect(mended).toEqual([
      {
        kind: 'claims',
        path: queue.path,
        message: 'has workers that lock items',
        fix: { action: 'claim by renaming' },
      },
    ])
    expect(partsOf(queue)).toEqual(CONVERTED)
    expect(await queue.isDown()).toBe(false)
    expect(names(queue, 'queue')).toEqual([id])
    expect(await unsound(queue)).toEqual([])
    expect((await queue.repair({ claims: 'rename' })).mended).toEqual([])
  })

  test('is left as it is while a worker holds an item', async () => {
    const queue = await bed.install({ lockKind, itemMode: '0660' })
    const id = await queue.enqueue('x')
    const descriptor = fs.openSync(pathOf(queue, 'queue', id), 'r+')
    try {
      expect(tryLockSync(descriptor, { kind: lockKind })).toBeDefined()
      const before = partsOf(queue)
      const { mended, unmended } = await queue.repair({ claims: 'rename' })
      expect(mended).toEqual([])
      expect(unmended).toMatchObject([
        { kind: 'claims', reason: expect.stringMatching(/^A worker holds the item .*End the workers/) },
      ])
      expect(partsOf(queue)).toEqual(before)
    } finally {
      fs.closeSync(descriptor)
    }
  }, 30_000)
})

test('a worker that has nothing in hand keeps it from being converted, too', async () => {
  const queue = await bed.install()
  const worker = await bed.open().work(() => undefined)
  const { unmended } = await queue.repair({ claims: 'rename' })
  expect(unmended[0]?.reason).toMatch(new RegExp(`^The worker .*:${process.pid} lives\\. End the workers`))
  expect(partsOf(queue)).toEqual([...LOCKING, 'meta'].sort())
  await worker.close()
}, 30_000)

test('a queue that is down stays down', async () => {
  const queue = await bed.install()
  await queue.down()
  await queue.repair({ claims: 'rename' })
  expect(partsOf(queue)).toEqual([...CONVERTED, 'down-rename'].sort())
  expect(await queue.isDown()).toBe(true)
  await queue.up()
  expect(partsOf(queue)).toEqual(CONVERTED)
})

test('a dry run changes nothing', async () => {
  const queue = await bed.install()
  const { mended } = await queue.repair({ claims: 'rename', dryRun: true })
  expect(mended.map(({ fix }) => fix?.action)).toEqual(['claim by renaming'])
  expect(partsOf(queue)).toEqual(LOCKING)
})

test.each(['lock', '', null, true])('claims cannot be %p', async (claims) => {
  const queue = await bed.install()
  const error = await errorOf(async () => queue.repair({ claims: claims as 'rename' }))
  checkError(error, { type: SettingError, says: /^claims is .*, expected 'rename'/ })
})

// Each step of a conversion, as it would be if the process had died after it.
describe('a conversion that was cut short', () => {
  const steps: readonly (readonly [
    what: string,
    make: (queue: Queue, guard: string) => void,
    isDown: boolean,
  ])[] = [
    ['taken down', (queue, guard) => fs.writeFileSync(path.join(queue.path, 'down'), guard), false],
    [
      'taken down before, with the new down file',
      (queue) => {
        fs.writeFileSync(path.join(queue.path, 'down'), '')
        fs.writeFileSync(path.join(queue.path, 'down-rename'), '')
      },
      true,
    ],
    [
      'with claimed/',
      (queue, guard) => {
        fs.writeFileSync(path.join(queue.path, 'down'), guard)
        fs.mkdirSync(path.join(queue.path, 'claimed'), 0o770)
      },
      false,
    ],
    [
      'with the marker, and that of fcntl locks',
      (queue, guard) => {
        fs.writeFileSync(path.join(queue.path, 'down'), guard)
        fs.mkdirSync(path.join(queue.path, 'claimed'), 0o770)
        fs.writeFileSync(path.join(queue.path, 'claims-rename'), '')
        fs.writeFileSync(path.join(queue.path, 'lock-fcntl'), '')
      },
      false,
    ],
  ]

  test.each(steps)('%s is completed', async (_what, make, isDown) => {
    const guard = fs.readFileSync(
      path.join((await bed.install({ claims: 'rename' }, 'model')).path, 'down'),
      'utf8',
    )
    const queue = await bed.install()
    make(queue, guard)
    // Workers that lock items find it down at each step.
    expect(fs.existsSync(path.join(queue.path, 'down'))).toBe(true)
    const { unmended } = await queue.repair({ claims: 'rename' })
    expect(unmended).toEqual([])
    expect(partsOf(queue)).toEqual([...CONVERTED, ...(isDown ? ['down-rename'] : [])].sort())
    expect(await queue.isDown()).toBe(isDown)
    expect(await unsound(queue)).toEqual([])
  })
})
