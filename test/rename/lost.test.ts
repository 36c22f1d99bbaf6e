// Workers that lose their claims: a fault point stands in for the server that takes the lock of a machine away.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { performance } from 'node:perf_hooks'

import { describe, expect, test } from '@jest/globals'

import type { Queue } from '../../src/queue.js'
import { Child } from '../support/child.js'
import { EMPTY, contents, itemName, names, pathOf, plant, until, useTestBed } from '../support/queue.js'
import { BY_LINK, SharedWorker, claimedNames, installRename, textsIn, workerNames } from './claimed.js'

const bed = useTestBed()

const NAME = itemName()
/** The server says that the lock is gone. */
const REVOKED = `fence.read=errno:${os.constants.errno.EIO}`
/** The server gives the locks of others away. */
const GRANTED = 'takeover.lock=answer:0'
const LOST = { name: 'ClaimLostError', code: 'ERR_FSQ_CLAIM_LOST', typed: true }
const LEASE_MS = 1000
const ACTIONS = ['done', 'fail', 'retry', 'discard']

/** The lines of a worker, in their order: `aborted ID` and `COMMAND ID CODE`. */
function told({ child }: SharedWorker): string[] {
  return child.lines.flatMap((line) => {
    if ('aborted' in line) return [`aborted ${String(line['aborted'])}`]
    if (line['to'] !== 'finish' && line['to'] !== 'read') return []
    const { error } = line['answer'] as { error?: { code: string } }
    return [`${line['to']} ${String(line['of'])} ${error?.code ?? 'ok'}`]
  })
}

/** The path of an open file of a process. `undefined`: it has no such descriptor. */
function linkTarget(pid: number, descriptor: number): string | undefined {
  try {
    return fs.readlinkSync(`/proc/${pid}/fd/${descriptor}`)
  } catch {
    return undefined
  }
}

describe('a worker whose lock the server takes away', () => {
  test('is told by the signals of all its items, and can neither read nor finish them', async () => {
    const queue = await installRename(bed)
    const large = Buffer.alloc(200_000)
    const ids = await queue.enqueueMany([{ data: large }, { data: large }])
    const worker = new SharedWorker(bed.root, '', { lease: 1 })
    expect([await worker.claim(), await worker.claim()]).toEqual(ids)
    await worker.ask('faults', { faults: REVOKED })
    await until('both are told', () => worker.child.said('aborted').length === 2)
    for (const line of worker.child.said('aborted')) expect(line).toMatchObject({ reason: LOST })
    const [first = '', second = ''] = ids
    expect(await worker.ask('read', { id: first })).toMatchObject({ error: LOST })
    for (const action of ACTIONS) expect(await worker.finish(first, action)).toMatchObject({ error: LOST })
    expect(await worker.finish(second, 'release')).toEqual({ id: second, outcome: 'gone' })
    expect([names(queue, 'done'), names(queue, 'fail')]).toEqual([[], []])
  })

  test('claims again by another directory, and gets its items once more', async () => {
    const queue = await installRename(bed)
    plant(queue, NAME)
    const worker = new SharedWorker(bed.root, '', { lease: 1 })
    await worker.claim()
    const before = workerNames(queue)
    const { claim: number } = worker.child.lines.at(-1)?.['answer'] as { claim: number }
    await worker.ask('faults', { faults: `fence.read#1=errno:${os.constants.errno.EIO}` })
    await worker.child.says('aborted')
    let again = await worker.ask('claim')
    while (again['id'] === undefined) again = await worker.ask('claim')
    expect(again).toMatchObject({ id: NAME })
    expect(again['claim']).toBeGreaterThan(number)
    const after = workerNames(queue)
    expect(after).toHaveLength(1)
    expect(after).not.toEqual(before)
    expect(await worker.finish(NAME, 'done')).toEqual({ id: NAME, outcome: 'done' })
    expect([contents(queue), claimedNames(queue)]).toEqual([{ ...EMPTY, done: [NAME] }, []])
    expect(await worker.ask('close')).toEqual({ held: 0 })
    expect(workerNames(queue)).toEqual([])
  })

  test.each(['done', 'release'])(
    'keeps the descriptor of its item open until its handler ends: until its %s',
    async (action) => {
      const queue = await installRename(bed)
      plant(queue, NAME)
      const worker = new SharedWorker(bed.root, '', { lease: 1 })
      await worker.claim()
      const { number } = (await worker.ask('descriptor', { id: NAME })) as { number: number }
      const target = (): string | undefined => linkTarget(worker.child.pid, number)
      await worker.ask('faults', { faults: REVOKED })
      await worker.child.says('aborted')
      expect(target()).toMatch(NAME)
      await worker.finish(NAME, action)
      await until('it is closed', () => target()?.endsWith(NAME) !== true)
    },
  )

  test('a finish in flight, too, rejects, and its signal is aborted before', async () => {
    const queue = await installRename(bed)
    plant(queue, NAME)
    const worker = new SharedWorker(bed.root, '', { lease: 1 })
    await worker.claim()
    // Without the turns of the event loop between them: the finish finds out by itself.
    const pause = path.join(bed.root, 'pause')
    await worker.ask('faults', { faults: `${REVOKED};finish.rename=pause:${pause}` })
    const finish = worker.finish(NAME, 'done')
    await until('it is about to rename', () => fs.existsSync(pause))
    const taker = new SharedWorker(bed.root, GRANTED)
    expect(await taker.claim()).toBe(NAME)
    fs.unlinkSync(pause)
    expect(await finish).toMatchObject({ error: LOST })
    expect(told(worker)).toEqual([`aborted ${NAME}`, `finish ${NAME} ERR_FSQ_CLAIM_LOST`])
    await taker.finish(NAME, 'done')
    expect(contents(queue)).toEqual({ ...EMPTY, done: [NAME] })
  })

  test('its loop goes on: it takes its own items over, and finishes them', async () => {
    const queue = await installRename(bed)
    plant(queue, NAME)
    const worker = new SharedWorker(bed.root, '', { lease: 1 })
    await worker.claim()
    await worker.ask('loop')
    await worker.ask('faults', { faults: `fence.read#1=errno:${os.constants.errno.EIO}` })
    expect(await worker.child.says('came')).toEqual({ came: NAME })
    await until('it is done', () => names(queue, 'done').length === 1)
    expect(worker.child.said('aborted')).toHaveLength(1)
  })
})

describe.each([
  ['where renames can be exclusive', ''],
  ['where no rename can be exclusive', BY_LINK],
])('a worker that stands still while another takes over, %s', (_, faults) => {
  test('for longer than the lease: it is told when it goes on, and its item is finished once', async () => {
    const queue = await installRename(bed, { maxTries: 3 })
    plant(queue, NAME, 'text')
    const worker = new SharedWorker(bed.root, faults, { lease: LEASE_MS / 1000 })
    await worker.claim()
    const stopped = performance.now()
    worker.child.kill('SIGSTOP')
    await until('the lease is over', () => performance.now() - stopped > LEASE_MS)
    const taker = new SharedWorker(bed.root, [faults, GRANTED].join(';'))
    expect(await taker.claim()).toBe(NAME)
    expect(await taker.finish(NAME, 'done')).toEqual({ id: NAME, outcome: 'done' })
    worker.child.kill('SIGCONT')
    expect(await worker.finish(NAME, 'done')).toMatchObject({ error: LOST })
    expect(told(worker)).toEqual([`aborted ${NAME}`, `finish ${NAME} ERR_FSQ_CLAIM_LOST`])
    expect(textsIn(queue, 'done')).toEqual({ [NAME]: 'text' })
    expect([contents(queue), claimedNames(queue)]).toEqual([{ ...EMPTY, done: [NAME] }, []])
    plant(queue, itemName({ entropy: 1 }))
    expect(await nextOf(worker)).toBe(itemName({ entropy: 1 }))
    expect(workerNames(queue)).toHaveLength(2)
  })

  // No fence has fallen yet: the name is gone, and that alone keeps it from finishing.
  test('for less: its finish rejects, whatever the other one has done with the item', async () => {
    const queue = await installRename(bed, { maxTries: 9 })
    const worker = new SharedWorker(bed.root, faults, { maxTries: 9 })
    const taker = new SharedWorker(bed.root, [faults, GRANTED].join(';'), { maxTries: 9 })
    // The due time of a delayed retry is set ahead of the move.
    for (const [action, options] of [
      ...ACTIONS.map((one) => [one] as const),
      ['retry', { delay: 50 }] as const,
    ]) {
      for (const end of ['nothing', ...ACTIONS]) {
        const name = itemName({ args: [action, String(options?.delay), end] })
        plant(queue, name, 'text')
        expect(await nextOf(worker)).toBe(name)
        expect(await taker.claim()).toBe(name)
        if (end !== 'nothing') expect(await taker.finish(name, end)).not.toHaveProperty('error')
        const before = all(queue)
        expect({ end, ...(await worker.finish(name, action, options)) }).toMatchObject({ end, error: LOST })
        expect(all(queue)).toEqual(before)
        if (end === 'nothing') await taker.finish(name, 'done')
        for (const waiting of names(queue, 'queue')) fs.unlinkSync(pathOf(queue, 'queue', waiting))
      }
    }
  })
})

test('a worker whose items another has finished does not take that for its own finish', async () => {
  const queue = await installRename(bed)
  plant(queue, NAME)
  const owner = new SharedWorker(bed.root)
  await owner.claim()
  // It dies before it removes the directory.
  const taker = new SharedWorker(bed.root, `${GRANTED};worker.disown=kill`)
  taker.child.tell({ command: 'claim' })
  expect(await taker.child.ended).toMatchObject({ signal: 'SIGKILL' })
  expect([names(queue, 'queue'), workerNames(queue)]).toEqual([[NAME], [expect.anything()]])
  const other = new SharedWorker(bed.root)
  expect(await other.claim()).toBe(NAME)
  expect(await other.finish(NAME, 'done')).toEqual({ id: NAME, outcome: 'done' })
  expect(await owner.finish(NAME, 'done')).toMatchObject({ error: LOST })
  expect(contents(queue)).toEqual({ ...EMPTY, done: [NAME] })
})

function all(queue: Queue): unknown {
  return { ...contents(queue), claimed: claimedNames(queue) }
}

/** The first claim after a loss tells of it, or the one after. */
async function nextOf(worker: SharedWorker): Promise<unknown> {
  for (;;) {
    const { id } = await worker.ask('claim')
    if (id !== undefined) return id
  }
}

test('queue.work(): the handler is told, its item counts as lost, and the worker goes on', async () => {
  const queue = await installRename(bed)
  plant(queue, NAME)
  const worker = new Child(
    'work.mjs',
    { root: bed.root, queue: { lease: 1 }, handler: 'untilAborted', options: { concurrency: 2 } },
    { faults: `fence.read#2=errno:${os.constants.errno.EIO}` },
  )
  await until('it has run twice', () => worker.said('started').length === 2)
  expect(worker.said('started').map(({ started }) => started)).toEqual([NAME, NAME])
  for (const event of ['done', 'retried', 'failed', 'released', 'unhandled'])
    expect(worker.said(event)).toEqual([])
  expect(claimedNames(queue)).toEqual([NAME])
  await queue.close()
})
