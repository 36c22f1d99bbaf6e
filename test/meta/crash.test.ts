import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { layoutOf } from '../../src/directory/layout.js'
import { MetaDirectory } from '../../src/meta/directory.js'
import { appendLine, readLog } from '../../src/meta/log.js'
import { itemKey } from '../../src/name/item-name.js'
import { Queue } from '../../src/queue.js'
import { Child, inParallel, makeDirectory } from '../support/child.js'
import { itemName, names, plant } from '../support/queue.js'
import { SINCE, leaveDeadWorker, logFiles, openGuard, workerFiles } from './dead-workers.js'

const WIDTH = 3
const A = itemName({ entropy: 0, args: ['a'] })
const B = itemName({ entropy: 1, args: ['b'] })
const KEY = itemKey(A, '%')

interface Case {
  readonly scenario: 'work' | 'bury' | 'trim'
  readonly prepare: (queue: Queue) => void
  readonly check: (queue: Queue, child: Child) => Promise<void>
}

async function run({ scenario, prepare, check }: Case, at?: number): Promise<Child> {
  const root = makeDirectory({ quick: true })
  const queue = await Queue.install('q', { root, durability: 'none', onReport: () => undefined })
  for (const name of [A, B]) plant(queue, name)
  prepare(queue)
  const child = new Child('killed-in-meta.mjs', { root, scenario, ...(at === undefined ? {} : { at }) })
  const { signal } = await child.ended
  // Looks depend on the time, so another run may make a call less.
  const hasEnded = child.said('calls').some(({ calls }) => at === undefined || Number(calls) < at)
  expect([child.stderr, signal]).toEqual(['', hasEnded ? null : 'SIGKILL'])
  await check(queue, child)
  await queue.close()
  fs.rmSync(root, { recursive: true })
  return child
}

/** Kills a worker at each call of a scenario. */
async function killAtEach(scenario: Case): Promise<number> {
  const { calls } = await (await run(scenario)).says('calls')
  const places = Array.from({ length: Number(calls) }, (_, index) => index + 1)
  await inParallel(places, WIDTH, async (at) => {
    await run(scenario, at)
  })
  return places.length
}

async function marksOf(queue: Queue, id: string): Promise<number> {
  return (await queue.attempts(id)).filter(({ outcome }) => outcome === 'crashed').length
}

/** Buries, and buries again. */
function bury(queue: Queue): void {
  for (let time = 0; time < 2; time++) {
    const { guard } = openGuard(queue)
    guard.close()
  }
  expect(workerFiles(queue).filter((name) => !name.startsWith('.'))).toEqual([])
}

describe('a kill at each call on files', () => {
  test('of a worker: the items that it had in hand have one mark, those that it had finished have none', async () => {
    const count = await killAtEach({
      scenario: 'work',
      prepare: () => undefined,
      async check(queue, child) {
        bury(queue)
        const standing = names(queue, 'queue')
        for (const id of [A, B]) {
          const marks = await marksOf(queue, id)
          if (!standing.includes(id)) expect(marks).toBe(0)
          else if (child.said('began').length > 0) expect(marks).toBe(1)
          else expect(marks).toBeLessThanOrEqual(1)
        }
        if (names(queue, 'fail').includes(A))
          expect(await queue.attempts(A)).toMatchObject([{ reason: 'permanent' }])
      },
    })
    expect(count).toBeGreaterThan(30)
  })

  test('of a burial: no mark is lost, and none comes twice', async () => {
    const count = await killAtEach({
      scenario: 'bury',
      prepare(queue) {
        leaveDeadWorker(queue, [A, itemName({ entropy: 9 }), B])
      },
      async check(queue) {
        bury(queue)
        expect([await marksOf(queue, A), await marksOf(queue, B)]).toEqual([1, 1])
        expect(logFiles(queue)).toHaveLength(2)
      },
    })
    expect(count).toBeGreaterThan(30)
  })

  test('of a log that is halved: at least the newest half stays, and the item', async () => {
    const texts = Array.from({ length: 60 }, (_, index) => `${index} ${'x'.repeat(900)}`)
    const count = await killAtEach({
      scenario: 'trim',
      prepare(queue) {
        const meta = new MetaDirectory(layoutOf(queue.name, queue.settings))
        for (const message of texts) {
          const error = { name: 'Error', message }
          appendLine(meta, KEY, { at: SINCE, try: 1, ms: 1, host: 'h', pid: 1, id: A, error })
        }
        const file = path.join(queue.path, 'meta', 'log', KEY)
        // The next line is one too many.
        fs.appendFileSync(file, `${' '.repeat(64 * 1024 - fs.statSync(file).size - 10)}\n`)
      },
      async check(queue) {
        bury(queue)
        const messages = readLog(layoutOf(queue.name, queue.settings), KEY).flatMap((line) =>
          'error' in line ? [line.error.message] : [],
        )
        const kept = messages.filter((message) => message !== 'last')
        expect(kept.length).toBeGreaterThanOrEqual(20)
        expect(kept).toEqual(texts.slice(-kept.length))
        expect([...names(queue, 'queue'), ...names(queue, 'done')]).toHaveLength(2)
      },
    })
    expect(count).toBeGreaterThan(10)
  })
})
