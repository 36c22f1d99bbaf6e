import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import type { Queue } from '../../src/queue.js'
import { ifRoot } from '../support/needs.js'
import { NOBODY, Taker, inProgram, itemName, plant, useTestBed } from '../support/queue.js'
import { leaveDeadWorker, logFiles, openGuard, workerFiles } from './dead-workers.js'

const bed = useTestBed()

afterEach(() => {
  jest.restoreAllMocks()
})

/** A queue of root that the group of nobody works, too. */
async function sharedQueue(): Promise<Queue> {
  const queue = await bed.install({
    queueMode: 0o2770,
    queueGroup: NOBODY,
    itemMode: 0o660,
    itemGroup: NOBODY,
  })
  plant(queue, itemName())
  return queue
}

/** What nobody's guard reports and marks. */
const guardOfNobody = (): Promise<{ reports: string[]; crashes: string[] }> =>
  inProgram(
    `
    const answer = { reports: [], crashes: [] }
    const queue = new Queue('q', { root: given.root, maxTries: 3, onReport: ({ type }) => answer.reports.push(type) })
    const onCrashed = ({ id }) => answer.crashes.push(id)
    const guard = queue.openGuard({ maxCrashes: 3, concurrency: () => 1, onCrashed })
    for await (const item of queue.scan()) {
      guard.begin([item])
      guard.failed(item, { error: new Error('no'), ms: 1 })
      await item.retry()
      guard.end([item])
    }
    guard.close()
    return answer
    `,
    { given: { root: bed.root }, nobody: true },
  )

describe('a queue of two users', () => {
  ifRoot('has a meta/ that either makes, and both write', async () => {
    const queue = await sharedQueue()
    expect(await guardOfNobody()).toEqual({ reports: [], crashes: [] })
    const meta = path.join(queue.path, 'meta')
    for (const part of [meta, path.join(meta, 'workers'), path.join(meta, 'log')]) {
      const { mode, uid, gid } = fs.statSync(part)
      expect([mode & 0o7777, uid, gid]).toEqual([0o2770, NOBODY, NOBODY])
    }
    expect(workerFiles(queue)).toEqual([])
    expect(logFiles(queue)).toHaveLength(1)
    openGuard(queue).guard.close()
    expect(await queue.attempts(itemName())).toHaveLength(1)
    expect(bed.reports).toEqual([])
    for await (const finding of queue.audit()) expect(finding).toBe('nothing')
  })

  ifRoot('either buries the workers of the other', async () => {
    const queue = await sharedQueue()
    openGuard(queue).guard.close()
    const file = leaveDeadWorker(queue, [itemName()])
    fs.chownSync(file, 0, NOBODY)
    fs.chmodSync(file, 0o660)
    expect(await guardOfNobody()).toEqual({ reports: [], crashes: [itemName()] })
    expect(await queue.attempts(itemName())).toMatchObject([{ outcome: 'crashed' }, { outcome: 'retried' }])
  })

  ifRoot('nobody goes on without a meta/ that is root’s alone', async () => {
    const queue = await sharedQueue()
    openGuard(queue).guard.close()
    fs.chmodSync(path.join(queue.path, 'meta'), 0o700)
    const { reports } = await guardOfNobody()
    expect([...new Set(reports)]).toEqual(['meta'])
    expect(reports.length).toBeLessThanOrEqual(2)
  })
})

/** Containers give programs any number as their user. */
describe('a user without an entry in the list of users', () => {
  test.each(['lock', 'rename'] as const)(
    'keeps logs where claims are by %s, and converts queues',
    async (claims) => {
      jest.spyOn(os, 'userInfo').mockImplementation(() => {
        throw Object.assign(new Error('ENOENT: no such file or directory, uv_os_get_passwd'), {
          code: 'ENOENT',
        })
      })
      const queue = await bed.install({ claims, maxTries: 3 })
      plant(queue, itemName())
      const item = await new Taker(queue).take()
      const { guard } = openGuard(queue)
      guard.failed(item, { error: new Error('no'), ms: 1 })
      await item.fail()
      guard.close()
      expect(await queue.attempts(itemName())).toHaveLength(1)
      expect(bed.reports).toEqual([])
      await queue.close()
      expect((await bed.open().repair({ claims: 'rename' })).unmended).toEqual([])
    },
  )
})
