// A finish that fails: the work has run, so the claim stays until the item has moved.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { Child, filesOf, isFree, makeDirectory, workOff } from '../support/child.js'
import { scenarios } from '../support/child-scenarios.mjs'

const { EIO, ENOSPC, EACCES } = os.constants.errno

async function makeQueue(count: number): Promise<{ root: string; path: string; log: string }> {
  const directory = makeDirectory()
  const root = path.join(directory, 'root')
  fs.mkdirSync(root)
  const queue = await Queue.install('q', { root })
  await queue.enqueueMany(Array.from({ length: count }, (_, index) => ({ args: [index] })))
  await queue.close()
  return { root, path: queue.path, log: path.join(directory, 'log') }
}

test.each([
  ['done', ENOSPC],
  ['fail', EACCES],
  ['retry', EIO],
  ['discard', EIO],
])(
  '%s that fails thrice: claimed, FinishError, no more claims, and moved by itself later',
  async (action, errno) => {
    const { root, path: queuePath } = await makeQueue(2)
    const faults = [1, 2, 3].map((nth) => `finish.rename#${nth}=errno:${errno}`).join(';')
    const child = new Child('child-unfinished.mjs', { root, action }, { faults })
    const { error, held, next } = await child.says('error')
    expect(error).toMatchObject({ name: 'FinishError', code: 'ERR_FSQ_FINISH', errno: -errno, typed: true })
    expect(held).toBe(true)
    expect(next).toMatchObject({ name: 'FinishError', typed: true })
    const { report, free, left } = await child.says('report')
    expect({ report, free, left }).toEqual({ report: 'recovered', free: true, left: true })
    expect(await child.ended).toEqual({ code: 0, signal: null })
    expect(child.stderr).toBe('')
    const places = filesOf(queuePath).map(({ where }) => where)
    const expected = {
      done: ['queue', 'done'],
      fail: ['queue', 'fail'],
      retry: ['queue', 'queue'],
      discard: ['queue'],
    }
    expect(places).toEqual(expected[action as keyof typeof expected])
    for (const { path: file } of filesOf(queuePath)) expect(isFree(file)).toBe(true)
  },
)

test('closed while a finish fails: the claim ends, and the item runs again', async () => {
  const { root, path: queuePath } = await makeQueue(1)
  const child = new Child(
    'child-unfinished.mjs',
    { root, action: 'done', close: true },
    { faults: `finish.rename=errno:${ENOSPC}` },
  )
  expect(await child.ended).toEqual({ code: 0, signal: null })
  expect(child.said('closed')).toEqual([{ closed: true, free: true }])
  expect(filesOf(queuePath).map(({ where }) => where)).toEqual(['queue'])
  expect((await workOff(root, 'q')).ran).toHaveLength(1)
})

test.each([
  ['done, full', 'finish.fsyncdir'],
  ['enqueue many', 'enqueue.fsyncdir'],
  ['enqueue bytes', 'enqueue.fsyncdir'],
] as const)('%s: the fsync of the directory that has failed is not made again', async (scenario, point) => {
  const dir = makeDirectory()
  // A second fsync would kill the process.
  const faults = `${point}#1=errno:${EIO};${point}#2=kill`
  const child = new Child('child-scenario.mjs', { scenario, dir, faults }, { faultBuild: true })
  expect(await child.ended).toEqual({ code: 0, signal: null })
  expect(child.said('error')).toHaveLength(1)
  const { labels } = scenarios[scenario] as unknown as { labels: readonly string[] }
  const files = filesOf(path.join(dir, 'root', 'q'))
  expect(files).toHaveLength(labels.length)
  const where = point === 'enqueue.fsyncdir' ? 'queue' : 'done'
  expect(files.every((file) => file.where === where)).toBe(true)
  const undurable = child.said('undurable').map((line) => line['undurable'])
  if (where === 'queue') expect(undurable.toSorted()).toEqual(files.map(({ name }) => name).toSorted())
})
