/** Workers that do not know claims by renaming: they find each such queue down, and their enqueues go on. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { type QueueHandle, isFailure, native } from '../../src/addon/native.js'
import type { Queue } from '../../src/queue.js'
import { Child } from '../support/child.js'
import { given } from '../support/needs.js'
import { names, useTestBed } from '../support/queue.js'
import { HandWorker } from './by-hand.js'

const bed = useTestBed()
const ifPython = given(spawnSync('python3', ['--version']).status === 0)

/** Runs a program that makes the calls of the first implementation. */
async function first(command: string, job: object = {}): Promise<Child> {
  const child = new Child('../interop/first.py', { command, root: bed.root, queue: 'q', ...job })
  await child.says('end')
  expect(await child.ended).toEqual({ code: 0, signal: null })
  expect(child.stderr).toBe('')
  return child
}

/** The queue as fsq 0.1 opens it: it knows none of the names that are new. */
function openAsOldOne(queue: Queue): QueueHandle {
  const unknown = ['no-such-marker', 'no-such-directory', 'no-such-file']
  const handle = native.openQueueSync(
    queue.path,
    ['queue', 'tmp', 'done', 'fail', 'down', 'lock-fcntl', ...unknown],
    true,
  )
  if (isFailure(handle)) throw new Error(handle.syscall)
  return handle
}

async function busyQueue(): Promise<{ queue: Queue; ids: readonly string[]; worker: HandWorker }> {
  const queue = await bed.install({ claims: 'rename' })
  const worker = new HandWorker(queue)
  const ids = [await queue.enqueue('1', ['a']), await queue.enqueue('2', ['b'])]
  worker.claim(ids[0] ?? '')
  return { queue, ids, worker }
}

ifPython.test('a scan of the first implementation runs nothing, as it finds the queue down', async () => {
  const { queue, ids } = await busyQueue()
  const child = await first('work', { action: 'done', once: true })
  expect([child.said('down').length, child.said('ran')]).toEqual([1, []])
  expect([names(queue, 'queue'), names(queue, 'done')]).toEqual([[ids[1]], []])
})

ifPython.test('an enqueue of the first implementation goes on', async () => {
  const { queue } = await busyQueue()
  const child = await first('produce', { args: ['c'], content: '' })
  expect(names(queue, 'queue')).toContain(child.said('id')[0]?.['id'])
})

ifPython.test('its `up` removes the guard: an audit says so, and a repair makes it again', async () => {
  const { queue } = await busyQueue()
  await first('up')
  const { mended } = await queue.repair()
  expect(mended.map(({ kind, fix }) => [kind, fix?.action])).toEqual([['missing', 'make guard']])
  expect((await first('work', { action: 'done', once: true })).said('ran')).toEqual([])
})

test('fsq 0.1 finds the queue down, also in the moments of a conversion', async () => {
  const { queue } = await busyQueue()
  const handle = openAsOldOne(queue)
  expect(native.isDownSync(handle, false)).toBe(true)
  native.closeQueue(handle)

  const other = await bed.install({}, 'other')
  const old = openAsOldOne(other)
  const seen: unknown[] = []
  const watch = fs.watch(other.path, (_event, name) => {
    // Each file of the conversion comes while the queue is down for it.
    if (name !== 'down') seen.push([name, native.isDownSync(old, false)])
  })
  await other.repair({ claims: 'rename' })
  watch.close()
  expect(native.isDownSync(old, false)).toBe(true)
  native.closeQueue(old)
  expect(seen.length).toBeGreaterThan(0)
  for (const [name, isDown] of seen as [string, boolean][]) expect([name, isDown]).toEqual([name, true])
  expect(fs.existsSync(path.join(other.path, 'claims-rename'))).toBe(true)
})
