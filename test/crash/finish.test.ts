// A finish that fails: the work has run, so the claim stays until the item has moved.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { inProgram } from '../support/queue.js'
import { Child, filesOf, isFree, makeDirectory, workOff } from '../support/child.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { scenarios } from '../support/scenarios.mjs'

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
    const point = action === 'discard' ? 'finish.unlink' : 'finish.rename'
    const faults = [1, 2, 3].map((nth) => `${point}#${nth}=errno:${errno}`).join(';')
    const child = new Child('fail-to-finish.mjs', { root, action }, { faults })
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
    'fail-to-finish.mjs',
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
  const child = new Child('run-scenario.mjs', { scenario, dir, faults }, { faultBuild: true })
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

const RENAME = 'finish.rename#1'
const REMOVE = 'finish.unlink#1'
const WITHOUT = 'finish.rename=errno:22'
const LINK = `${WITHOUT};finish.link#1`
const UNLINK = `${WITHOUT};finish.unlink#1`
const TARGETS = { done: 'done', fail: 'fail', retry: 'queue', discard: 'tmp' } as const
type Action = keyof typeof TARGETS

interface Outcome {
  readonly code: string
  readonly message: string
  readonly claims: number
}

/**
 * Finishes an item, and does something with its file just before the call that is to move it. `call`: the point; `answer`: what it
 * says instead of being made. What has failed is waited for until it has succeeded.
 */
async function finishWhile(
  action: Action,
  call: string,
  change: string,
  answer?: number,
): Promise<Outcome & { readonly found: string[] }> {
  const { root, path: queuePath } = await makeQueue(1)
  const pause = path.join(root, '..', 'pause')
  const point = call.split(';').at(-1) ?? ''
  const outcome = await inProgram<Outcome>(
    `
    const { createRequire } = await import('node:module')
    const addon = createRequire(given.binding)(given.binding)
    const queue = new Queue('q', { root: given.root, maxTries: 5, onReport: () => {} })
    const { value: item } = await queue.scan().next()
    const from = item.path
    const name = path.basename(from)
    const to = path.join(queue.path, given.place, given.action === 'retry' ? name.replace(/^((?:_[^_]*){4})_0/, '$1_1') : name)
    const finishing = errorOf(() => item[given.action]())
    await until(() => fs.existsSync(given.pause))
    ${change}
    fs.unlinkSync(given.pause)
    const { code, message } = await finishing
    if (code === 'ERR_FSQ_FINISH') await until(() => !item.claimed)
    const claims = addon.heldClaims()
    await queue.close()
    return { code, message, claims }`,
    {
      given: {
        root,
        action,
        pause,
        place: TARGETS[action],
        binding: path.join(import.meta.dirname, '../../binding.cjs'),
      },
      flags: ['--require', FAULT_BUILD],
      env: {
        FSQ_FAULTS: `${call}=pause:${pause}${answer === undefined ? '' : `;${point}=errno:${answer}`}`,
      },
    },
  )
  const found = filesOf(queuePath).map(({ where, name }) => `${where} ${name.split('_')[5]}`)
  return { ...outcome, found }
}

const AWAY = "fs.renameSync(from, path.join(given.root, 'elsewhere'))"
const REMOVED = 'fs.unlinkSync(from)'
const ANOTHER = `${AWAY}\nfs.writeFileSync(from, 'another')`
const MADE = 'fs.renameSync(from, to)'
const LINKED = 'fs.linkSync(from, to)'
const GONE = { code: 'ERR_FSQ_ITEM_GONE', claims: 0 }
const FINISHED = { code: 'none', claims: 0 }
const { EEXIST, ENOENT, ESTALE } = os.constants.errno

describe('the names decide, not the answer of a call that has not moved the item', () => {
  test.each<[Action, string, string]>(
    [RENAME, LINK].flatMap((call) =>
      (['done', 'fail', 'retry'] as const).flatMap((action) =>
        [AWAY, REMOVED].map((change): [Action, string, string] => [action, call, change]),
      ),
    ),
  )('%s at %s, and another process has done %j: the item is gone', async (action, call, change) => {
    expect(await finishWhile(action, call, change)).toMatchObject({ ...GONE, found: [] })
  })

  test.each<[Action, string]>([
    ['done', RENAME],
    ['retry', RENAME],
    ['done', LINK],
    ['discard', REMOVE],
  ])('%s at %s: nor is another item taken that has got its name', async (action, call) => {
    const { code, found } = await finishWhile(action, call, ANOTHER, ENOENT)
    expect({ code, found }).toEqual({ code: GONE.code, found: ['queue 0'] })
  })

  // As of a call that is made twice, by us after a signal or by the network: the first has made it.
  test.each<[Action, string, string[]]>([
    ['done', RENAME, ['done 0']],
    ['fail', RENAME, ['fail 0']],
    ['retry', RENAME, ['queue 1']],
    ['done', LINK, ['done 0']],
    ['retry', LINK, ['queue 1']],
  ])('%s at %s, and it has been made: it has', async (action, call, found) => {
    expect(await finishWhile(action, call, MADE)).toMatchObject({ ...FINISHED, found })
  })

  test.each([
    ['done', 'done 0'],
    ['retry', 'queue 1'],
  ] as const)('%s by link, and the unlink has been made: it has', async (action, found) => {
    expect(await finishWhile(action, UNLINK, REMOVED)).toMatchObject({ ...FINISHED, found: [found] })
  })

  test.each([REMOVE, UNLINK])('discard at %s, and nothing is left of it: nothing should be', async (call) => {
    expect(await finishWhile('discard', call, REMOVED)).toMatchObject({ ...FINISHED, found: [] })
  })

  test.each([REMOVE, UNLINK])(
    'discard at %s, and another process has moved the item: it is gone',
    async (call) => {
      expect(await finishWhile('discard', call, AWAY)).toMatchObject({ ...GONE, found: [] })
    },
  )

  test.each<[Action, string, string]>([
    ['done', RENAME, 'done 0'],
    ['fail', LINK, 'fail 0'],
    ['retry', RENAME, 'queue 1'],
  ])(
    '%s at %s: its name is taken by itself alone, so another has finished it',
    async (action, call, found) => {
      expect(await finishWhile(action, call, MADE, EEXIST)).toMatchObject({ ...GONE, found: [found] })
    },
  )

  test.each<[Action, string, string]>([
    ['done', RENAME, 'done 0'],
    ['fail', LINK, 'fail 0'],
    ['retry', RENAME, 'queue 1'],
  ])('%s at %s: the link has been made before, so the move is completed', async (action, call, found) => {
    expect(await finishWhile(action, call, LINKED, EEXIST)).toMatchObject({ ...FINISHED, found: [found] })
  })

  test.each([ENOENT, ESTALE])(
    'error %i of the directory that it is to go to: it is kept and tried again',
    async (errno) => {
      const { code, message, claims, found } = await finishWhile('done', RENAME, '', errno)
      expect(message).toMatch(/ENOENT: no such file or directory, rename.*create it again/)
      expect({ code, claims, found }).toEqual({ code: 'ERR_FSQ_FINISH', claims: 0, found: ['done 0'] })
    },
  )

  test('done/ is removed: it is kept until the directory is back', async () => {
    const change = 'fs.rmdirSync(path.dirname(to))\nsetTimeout(() => fs.mkdirSync(path.dirname(to)), 300)'
    const { code, message, claims, found } = await finishWhile('done', RENAME, change)
    expect(message).toMatch(/ENOENT/)
    expect({ code, claims, found }).toEqual({ code: 'ERR_FSQ_FINISH', claims: 0, found: ['done 0'] })
  })
})
