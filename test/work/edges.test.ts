// Outcomes of queue.work() that need files, a process of its own or another user.
import fs from 'node:fs'

import { describe, expect, test } from '@jest/globals'

import { Child } from '../support/child.js'
import { ifRoot } from '../support/needs.js'
import {
  EMPTY,
  contents,
  drain,
  inProgram,
  itemName,
  names,
  plant,
  until,
  useTestBed,
} from '../support/queue.js'
import { SINCE, leaveDeadWorker, logFiles } from '../meta/dead-workers.js'

const bed = useTestBed()
const HOUR = 3_600_000

test('it discarded the item itself: that counts as done, and nothing of the item stays', async () => {
  const queue = await bed.install({ maxTries: 3 })
  await queue.enqueue('a')
  const worker = await queue.work(
    async (item) => {
      if (item.tries === 0) throw new Error('once')
      await item.discard()
    },
    { backoff: 0 },
  )
  await until('it is gone', () => worker.counters.done === 1)
  await worker.close()
  expect(contents(queue)).toEqual(EMPTY)
  expect(logFiles(queue)).toEqual([])
})

test('ungrowable: fail/ instead of a name that is too long, and the log says so', async () => {
  const queue = await bed.install({ maxTries: 0 })
  const short = itemName({ tries: 9, args: [''] })
  const name = itemName({ tries: 9, args: ['x'.repeat(255 - short.length)] })
  plant(queue, name)
  const reasons: unknown[] = []
  const worker = await queue.work(() => {
    throw new Error('no luck')
  })
  worker.on('failed', ({ reason, id }) => reasons.push([reason, id]))
  await until('it has failed', () => reasons.length === 1)
  expect(reasons).toEqual([['ungrowable', name]])
  expect(names(queue, 'fail')).toEqual([name])
  expect(await queue.attempts(name)).toMatchObject([{ reason: 'ungrowable', error: { message: 'no luck' } }])
})

test('CPU-bound handler in process: its timers are late, and its item stays its own', async () => {
  const queue = await bed.install()
  const id = await queue.enqueue('a')
  const options = { timeout: 10, closeOn: ['SIGTERM'] }
  const child = new Child('work.mjs', { root: bed.root, handler: 'busy', ms: 600, options })
  await child.says('started')
  expect(await drain(queue)).toEqual([])
  expect(child.said('done')).toEqual([])
  await child.says('done')
  expect([names(queue, 'queue'), names(queue, 'done')]).toEqual([[], [id]])
  child.kill('SIGTERM')
  await child.ended
  expect(child.said('retried')).toEqual([])
})

test('crashed: the event says which worker has died, with what, and since when', async () => {
  const queue = await bed.install()
  const id = await queue.enqueue('a', ['x'])
  leaveDeadWorker(queue, [id])
  const crashes: unknown[] = []
  const worker = await queue.work(() => undefined)
  worker.on('crashed', (crash) => crashes.push(crash))
  await worker.idle()
  const { key } = (await queue.find(id)) ?? {}
  expect(crashes).toEqual([{ key, id, pid: 4711, host: 'web1', together: 1, ms: expect.any(Number) }])
  expect((crashes as { ms: number }[])[0]?.ms).toBeGreaterThan(Date.now() - Date.parse(SINCE) - 60_000)
  expect(worker.counters).toMatchObject({ crashed: 1, done: 1 })
})

describe("another owner's item", () => {
  ifRoot('release({ delay }): it is due at once, which is reported', async () => {
    const queue = await bed.install({ queueMode: 0o777 })
    fs.chmodSync(plant(queue, itemName(), 'x'), 0o644)
    fs.chmodSync(bed.root, 0o755)
    const seen = await inProgram(
      `
      const reports = []
      const queue = new Queue('q', { root: given, onReport: ({ type, name }) => reports.push([type, name]) })
      const { value: item } = await queue.scan().next()
      item.release({ delay: ${HOUR} })
      const again = []
      for await (const { id, tries } of queue.scan()) again.push([id, tries])
      await queue.close()
      return { outcome: item.outcome, reports, again }
      `,
      { given: bed.root, nobody: true },
    )
    expect(seen).toEqual({
      outcome: 'released',
      reports: [['undelayed', itemName()]],
      again: [[itemName(), 0]],
    })
  })

  ifRoot('RetryLater and a retry: both are due at once, and reported', async () => {
    const queue = await bed.install({ queueMode: 0o777 })
    fs.chmodSync(plant(queue, itemName(), 'x'), 0o644)
    fs.chmodSync(bed.root, 0o755)
    const seen = await inProgram(
      `
      const reports = []
      const queue = new Queue('q', { root: given, maxTries: 3, onReport: ({ type, name }) => reports.push([type, name]) })
      let runs = 0
      const worker = await queue.work(() => {
        if (++runs === 1) throw new fsq.RetryLater({ after: ${HOUR} })
        if (runs === 2) throw new Error('no luck')
      }, { backoff: ${HOUR} })
      await until(() => worker.counters.done === 1)
      await queue.close()
      const { postponed, retried } = worker.counters
      return { runs, postponed, retried, reports }
      `,
      { given: bed.root, nobody: true },
    )
    const undelayed = ['undelayed', itemName()]
    expect(seen).toEqual({ runs: 3, postponed: 1, retried: 1, reports: expect.arrayContaining([undelayed]) })
    expect(names(queue, 'done')).toEqual([itemName({ tries: 1 })])
  })
})
