/** Names that are no items': what NFS and FUSE call a file that was deleted while it was open. It goes with the last close. */
import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, jest, test } from '@jest/globals'

import { FileSystemError } from '../../src/errors/classes.js'
import { useCommandBed } from '../support/command.js'
import { checkError, contents, drain, errorOf, itemName, plant, until } from '../support/queue.js'

const bed = useCommandBed()
const DELETED = ['.nfs000000000000001b00000191', '.fuse_hidden0000000500000001']
const PLACES = ['queue', 'done', 'fail', 'tmp'] as const

async function makeQueue(): Promise<Awaited<ReturnType<typeof bed.bed.install>>> {
  const queue = await bed.bed.install({ root: bed.root })
  for (const name of DELETED) {
    for (const place of PLACES) plant(queue, name, 'x', place)
    fs.writeFileSync(path.join(queue.path, name), 'x')
  }
  return queue
}

const state = (left: object = {}): object => ({
  ...Object.fromEntries(PLACES.map((place) => [place, [...DELETED].sort()])),
  ...left,
})

describe.each(DELETED)('%s', () => {
  test('is no item for a scan, a listing or a count', async () => {
    const queue = await makeQueue()
    expect(await queue.isEmpty()).toBe(true)
    expect(await queue.counts()).toEqual({ waiting: 0, done: 0, failed: 0, tmp: 0 })
    const id = await queue.enqueue('x')
    const listed: string[] = []
    for await (const item of queue.items()) listed.push(item.id)
    expect(listed).toEqual([id])
    expect(await drain(queue)).toEqual([id])
    expect(bed.bed.reports).toEqual([])
    expect(contents(queue)).toEqual(state({ done: [...DELETED, id].sort() }))
  })
})

test('one that appears while a scan waits is skipped', async () => {
  const queue = await bed.bed.install({ root: bed.root })
  const stop = new AbortController()
  const taken: string[] = []
  const loop = (async () => {
    for await (const item of queue.scan({ wait: true, signal: stop.signal })) {
      taken.push(item.id)
      await item.done()
    }
  })().catch(() => undefined)
  const first = await queue.enqueue('x')
  await until('the loop waits', () => taken.length === 1)
  for (const name of DELETED)
    fs.renameSync(plant(queue, name, '', 'tmp'), path.join(queue.path, 'queue', name))
  const last = await queue.enqueue('x')
  await until('the loop goes on', () => taken.length === 2)
  stop.abort()
  await loop
  expect(taken).toEqual([first, last])
  expect(bed.bed.reports).toEqual([])
  expect(contents(queue).queue).toEqual([...DELETED].sort())
})

test('the commands neither show nor touch it', async () => {
  const queue = await makeQueue()
  plant(queue, itemName(), '', 'done')
  const [row] = (await bed.sh('fsq list --json')).stdout.split('\n')
  expect(JSON.parse(row ?? '')).toMatchObject({ waiting: 0, done: 1, failed: 0 })
  const commands = ['list -s all q', 'audit q', 'repair -y q', 'prune --keep 1 q', 'retry -a q', 'rm -a q']
  for (const command of commands) {
    const { code, stderr } = await bed.sh(`fsq ${command}`)
    expect({ command, code, stderr }).toEqual({ command, code: 0, stderr: '' })
  }
  expect((await bed.sh('fsq list -s all q')).stdout).toBe('')
  expect((await bed.sh('fsq audit q')).stdout).toBe('')
  expect(contents(queue)).toEqual(state())
})

test('it keeps no queue from being uninstalled', async () => {
  const queue = await makeQueue()
  await queue.uninstall()
  expect(fs.readdirSync(bed.root)).toEqual([])
})

test('while it cannot be removed, as it is open on this machine, the queue stays', async () => {
  const queue = await makeQueue()
  const real = fs.promises.unlink.bind(fs.promises)
  const unlink = jest.spyOn(fs.promises, 'unlink').mockImplementation(async (file) => {
    if (DELETED.includes(path.basename(file.toString()))) throw new Error('EBUSY')
    await real(file)
  })
  const error = await errorOf(async () => queue.uninstall())
  unlink.mockRestore()
  checkError(error, { type: FileSystemError, cause: 'ENOTEMPTY', says: /Cannot uninstall .* are still open/ })
  expect(contents(queue)).toEqual(state())
  const id = await queue.enqueue('x')
  expect(await drain(bed.bed.open({ root: bed.root }))).toEqual([id])
})

test('it makes nothing of an empty directory that a queue may replace', async () => {
  fs.mkdirSync(bed.path('q'))
  for (const name of DELETED) fs.writeFileSync(bed.path('q', name), '')
  await bed.bed.install({ root: bed.root, force: true })
  expect(fs.readdirSync(bed.path('q')).sort()).toEqual(['done', 'fail', 'queue', 'tmp'])
})
