import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, jest, test } from '@jest/globals'

import { layoutOf } from '../../src/directory/layout.js'
import { PermanentFailure } from '../../src/errors/classes.js'
import { MetaDirectory } from '../../src/meta/directory.js'
import { appendLine, readLog } from '../../src/meta/log.js'
import { itemKey } from '../../src/name/item-name.js'
import { Queue } from '../../src/queue.js'
import { Child, inParallel, makeDirectory } from '../support/child.js'
import { itemName, names, plant } from '../support/queue.js'
import { SINCE, leaveDeadWorker, logFiles, openGuard, workerFiles } from './dead-workers.js'

// Each test starts some fifty processes.
jest.setTimeout(180_000)

const WIDTH = 3
const A = itemName({ entropy: 0, args: ['a'] })
const B = itemName({ entropy: 1, args: ['b'] })
const HOWS = ['done', 'retry', 'never', 'later']
const howOf = (id: string): string => id.split('_')[6] ?? ''
const KEY = itemKey(A, '%')

interface Case {
  readonly scenario: 'work' | 'giveBack' | 'worker' | 'bury' | 'trim'
  readonly prepare: (queue: Queue) => void
  readonly check: (queue: Queue, child: Child) => Promise<void>
}

/** Where a child is killed. `torn`: half-way through a write. */
interface Kill {
  readonly at: number
  readonly torn?: boolean
}

let unkilled = 0

async function run({ scenario, prepare, check }: Case, kill?: Kill): Promise<Child> {
  const root = makeDirectory({ quick: true })
  const queue = await Queue.install('q', { root, durability: 'none', maxTries: 3, onReport: () => undefined })
  prepare(queue)
  const items = names(queue, 'queue').length
  const child = new Child('killed-in-meta.mjs', { root, scenario, items, ...kill })
  const { code, signal } = await child.ended
  expect(child.stderr).toBe('')
  // A run may take fewer calls than the one before, as the number of looks depends on the time.
  if (kill === undefined || code !== 0) expect(signal).toBe(kill === undefined ? null : 'SIGKILL')
  else unkilled++
  try {
    await check(queue, child)
  } finally {
    await queue.close({ force: true })
  }
  fs.rmSync(root, { recursive: true })
  return child
}

const READS = ['closeSync', 'readSync', 'fstatSync', 'lstatSync', 'modifiedAt', 'readdirSync']

/** Kills a worker at each call of a scenario, and in the middle of each write. Gives back the calls. */
async function killAtEach(scenario: Case): Promise<string[]> {
  const { calls } = (await (await run(scenario)).says('calls')) as unknown as { calls: string[] }
  const kills = calls.flatMap((name, index): Kill[] => {
    const at = index + 1
    // A kill before one of several reads in a row leaves the same files, and a whole worker makes many.
    if (scenario.scenario === 'worker' && READS.includes(name) && index % 3 > 0) return []
    return name === 'writeSync' ? [{ at }, { at, torn: true }] : [{ at }]
  })
  unkilled = 0
  await inParallel(kills, WIDTH, async (kill) => {
    await run(scenario, kill)
  })
  expect(unkilled).toBeLessThan(kills.length / 5)
  return calls
}

function plantTwo(queue: Queue): void {
  for (const name of [A, B]) plant(queue, name)
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
    const calls = await killAtEach({
      scenario: 'work',
      prepare: plantTwo,
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
    expect(calls.length).toBeGreaterThan(30)
    expect(calls).toContain('lockDescriptor')
  })

  test('of a worker that gives items back: no mark for the name that a retried item had, nor for a released item', async () => {
    const calls = await killAtEach({
      scenario: 'giveBack',
      prepare: plantTwo,
      async check(queue, child) {
        bury(queue)
        const [retried, released] = [await marksOf(queue, A), await marksOf(queue, B)]
        const hasBegun = child.said('began').length > 0
        if (!names(queue, 'queue').includes(A)) expect(retried).toBe(0)
        else if (hasBegun) expect(retried).toBe(1)
        if (child.said('ended').length > 0) expect(released).toBe(0)
        else expect(released).toBeLessThanOrEqual(1)
        expect(names(queue, 'queue')).toHaveLength(2)
      },
    })
    expect(calls).toContain('finish')
  })

  test('of queue.work(): another worker does what is left, and finds a mark for each item in hand', async () => {
    const calls = await killAtEach({
      scenario: 'worker',
      prepare(queue) {
        for (const [entropy, how] of HOWS.entries()) plant(queue, itemName({ entropy, args: [how] }))
      },
      async check(queue, child) {
        const standing = names(queue, 'queue')
        bury(queue)
        const began = child.said('began').map((line) => String(line['began']))
        for (const id of [...standing, ...names(queue, 'done'), ...names(queue, 'fail')]) {
          const marks = await marksOf(queue, id)
          expect(marks).toBeLessThanOrEqual(standing.includes(id) ? 1 : 0)
          // One that is released leaves the file of its worker before it leaves its hands.
          if (standing.includes(id) && began.includes(id) && !id.includes('later')) expect(marks).toBe(1)
        }
        const worker = await queue.work(({ args: [how] }) => {
          if (how === 'never') throw new PermanentFailure('never')
        })
        // One is delayed.
        while (names(queue, 'queue').length > 0) await worker.idle()
        const ends = [
          names(queue, 'queue'),
          names(queue, 'done').map(howOf).sort(),
          names(queue, 'fail').map(howOf),
        ]
        expect(ends).toEqual([[], ['done', 'later', 'retry'], ['never']])
        for (const id of names(queue, 'fail'))
          expect((await queue.attempts(id)).at(-1)).toMatchObject({ reason: 'permanent' })
      },
    })
    expect(calls.length).toBeGreaterThan(40)
  })

  test('of a burial: no mark is lost, and none comes twice', async () => {
    const calls = await killAtEach({
      scenario: 'bury',
      prepare(queue) {
        plantTwo(queue)
        leaveDeadWorker(queue, [A, itemName({ entropy: 9 }), B])
      },
      async check(queue) {
        bury(queue)
        expect([await marksOf(queue, A), await marksOf(queue, B)]).toEqual([1, 1])
        expect(logFiles(queue)).toHaveLength(2)
      },
    })
    expect(calls.length).toBeGreaterThan(30)
    expect(calls).toContain('lockDescriptor')
  })

  test('of a log that is halved: at least the newest half stays, and the item', async () => {
    const texts = Array.from({ length: 60 }, (_, index) => `${index} ${'x'.repeat(900)}`)
    const calls = await killAtEach({
      scenario: 'trim',
      prepare(queue) {
        plantTwo(queue)
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
    expect(calls.length).toBeGreaterThan(10)
  })
})
