/** Conversions of queues to claims by renaming. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { native } from '../../src/addon/native.js'
import { SettingError } from '../../src/errors/classes.js'
import { tryLockSync } from '../../src/lock.js'
import type { Queue } from '../../src/queue.js'
import { checkError, errorOf, names, pathOf, until, useTestBed } from '../support/queue.js'

const bed = useTestBed()

afterEach(() => {
  jest.restoreAllMocks()
})
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

describe('during a conversion', () => {
  /** Begins to convert the queue. Resolves when it is down for that. */
  async function converting(queue: Queue): Promise<{ reason: () => Promise<string | undefined> }> {
    // The last step before it waits for workers, also where the queue was down before.
    const down = path.join(queue.path, 'down')
    if (fs.existsSync(down)) fs.chmodSync(down, 0o600)
    const repaired = bed.open().repair({ claims: 'rename' })
    const isDownForIt = (): boolean => {
      const info = fs.statSync(down, { throwIfNoEntry: false })
      const isBefore = fs.existsSync(path.join(queue.path, 'down-rename'))
      return info !== undefined && (isBefore ? (info.mode & 0o777) === 0o640 : info.size > 0)
    }
    await until('it is down', isDownForIt)
    return { reason: async () => (await repaired).unmended[0]?.reason }
  }

  test('the queue is taken down: it is down afterwards', async () => {
    const queue = await bed.install()
    const { reason } = await converting(queue)
    await queue.down()
    expect(await reason()).toBeUndefined()
    expect(partsOf(queue)).toEqual([...CONVERTED, 'down-rename'].sort())
    expect(await bed.open().isDown()).toBe(true)
  })

  test('the queue is taken down, and then a worker holds an item: it is down, and as it was', async () => {
    const queue = await bed.install()
    const id = await queue.enqueue('x')
    bed.lock(pathOf(queue, 'queue', id))
    const { reason } = await converting(queue)
    await queue.down()
    expect(await reason()).toMatch(/^A worker holds the item/)
    expect(partsOf(queue)).toEqual([...LOCKING, 'down'].sort())
    // The next conversion does not take it for one that was cut short.
    expect(fs.readFileSync(path.join(queue.path, 'down'), 'utf8')).toBe('')
    await queue.up()
    expect(partsOf(queue)).toEqual(LOCKING)
  }, 30_000)

  test.each([false, true])(
    'the queue is taken up, and was down before: %p. It is not converted',
    async (wasDown) => {
      const queue = await bed.install()
      if (wasDown) await queue.down()
      const { reason } = await converting(queue)
      await queue.up()
      expect(await reason()).toBe('It was taken up meanwhile. Try again')
      expect(partsOf(queue)).toEqual(LOCKING)
      expect(await unsound(queue)).toEqual([])
    },
  )
})

// Else the queue stays down after a conversion that was cut short there, and up after a person has taken it down there.
test.each([true, false])(
  'the down file of a conversion is never there without its text, where renames can be exclusive: %p',
  async (isExclusive) => {
    const queue = await bed.install()
    const down = path.join(queue.path, 'down')
    const texts = new Set<string | undefined>()
    const look = (): void => {
      texts.add(fs.existsSync(down) ? fs.readFileSync(down, 'utf8') : undefined)
    }
    for (const call of ['open', 'mkdir', 'stat', 'rm'] as const) {
      const made = fs.promises[call] as (...args: unknown[]) => Promise<unknown>
      jest.spyOn(fs.promises, call).mockImplementation((async (...args: unknown[]) => {
        const result = await made(...args)
        look()
        return result
      }) as never)
    }
    if (!isExclusive)
      jest
        .spyOn(native, 'relocate')
        .mockResolvedValue({ errno: -os.constants.errno.EINVAL, syscall: 'rename', moved: false })
    expect((await queue.repair({ claims: 'rename' })).unmended).toEqual([])
    expect([...texts]).toEqual([undefined, expect.stringMatching(/^This queue is worked by renames/)])
    expect(partsOf(queue)).toEqual(CONVERTED)
    expect(names(queue, 'tmp')).toEqual([])
  },
)

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
