/** Queues that are worked with fcntl locks. Their races are in crash/ and concurrency/, which run with both kinds. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { PermissionError, SettingError } from '../../src/errors/classes.js'
import { ifRoot } from '../support/needs.js'
import {
  type ShownError,
  checkError,
  drain,
  errorOf,
  inProgram,
  isLocked,
  itemName,
  pathOf,
  takeOne,
  useTestBed,
} from '../support/queue.js'

const bed = useTestBed()
const MARKER = 'lock-fcntl'

describe('install', () => {
  test.each(['flock', undefined] as const)('with lockKind %p makes no marker', async (lockKind) => {
    const queue = await bed.install({ lockKind })
    expect(fs.readdirSync(queue.path).sort()).toEqual(['done', 'fail', 'queue', 'tmp'])
    await queue.enqueue('x')
    const item = await takeOne(queue)
    expect(isLocked(item.path)).toBe(true)
    await item.done()
  })

  test.each([
    ['02770', 0o660],
    ['0700', 0o600],
    ['0755', 0o644],
  ])('with fcntl makes the marker, under FSQ_QUEUE_MODE %s', async (queueMode, mode) => {
    const queue = await bed.install({ lockKind: 'fcntl', queueMode, itemMode: '0660' })
    expect(fs.readdirSync(queue.path).sort()).toEqual(['done', 'fail', MARKER, 'queue', 'tmp'])
    const marker = fs.statSync(path.join(queue.path, MARKER))
    expect({ mode: marker.mode & 0o7777, size: marker.size }).toEqual({ mode, size: 0 })
    const id = await queue.enqueue('x')
    const item = await takeOne(queue)
    // By a lock that flock does not see, and that holds all the same.
    expect(isLocked(item.path)).toBe(false)
    expect(await drain(bed.open())).toEqual([])
    item.release()
    expect(await drain(bed.open())).toEqual([id])
    await queue.uninstall()
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test.each(['posix', 'FCNTL', '', 1, null, true])('with lockKind %p is refused', async (lockKind) => {
    const error = await errorOf(async () => bed.install({ lockKind: lockKind as 'flock' }))
    checkError(error, { type: SettingError, says: /^lockKind is .*, expected one of 'flock', 'fcntl'/ })
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test('by force gives the queue the kind that it is asked for, and handles that were open follow', async () => {
    const queue = await bed.install({ lockKind: 'fcntl', itemMode: '0660' })
    const user = bed.open()
    await user.enqueue('old')
    await takeOne(user).then((item) => item.done())
    await bed.install({ force: true })
    expect(fs.existsSync(path.join(queue.path, MARKER))).toBe(false)
    await user.enqueue('new')
    const item = await takeOne(user)
    expect(isLocked(item.path)).toBe(true)
  })

  test.each([
    [{}, '0660'],
    [{ itemMode: '0600' }, '0660'],
    [{ queueMode: '0777', itemMode: '0664' }, '0666'],
    [{ queueMode: '0777', itemMode: '0666' }, undefined],
    [{ itemMode: '0660' }, undefined],
    [{ queueMode: '02750' }, undefined],
    [{ lockKind: 'flock' }, undefined],
  ])('%p: a warning says which FSQ_ITEM_MODE lets all who may work it do so: %s', async (options, mode) => {
    const warnings = await inProgram<{ code: string; message: string }[]>(
      `
      const warnings = []
      process.on('warning', ({ code, message }) => warnings.push({ code, message }))
      await Queue.install('q', { root: given.root, lockKind: 'fcntl', ...given.options })
      await new Promise(setImmediate)
      return warnings`,
      { given: { root: bed.root, options } },
    )
    if (mode === undefined) {
      expect(warnings).toEqual([])
      return
    }
    expect(warnings).toHaveLength(1)
    expect(warnings[0]?.code).toBe('FSQ_ITEM_MODE')
    expect(warnings[0]?.message).toMatch(
      new RegExp(`may work the queue 'q' .*Enqueue with ${mode}, or deny others access`),
    )
  })
})

describe('an item that cannot be opened for writing', () => {
  test('is left alone, and the report says what to do', async () => {
    interface Seen {
      readonly id: string
      readonly drained: string[]
      readonly later: string[]
      readonly reports: { type: string; message: string; error: ShownError }[]
    }
    const root = bed.path('root')
    fs.mkdirSync(root)
    fs.chmodSync(root, 0o777)
    const seen = await inProgram<Seen>(
      `
      const reports = []
      const onReport = ({ type, message, error }) => reports.push({ type, message, error: show(error) })
      const queue = await Queue.install('q', { root: given.root, lockKind: 'fcntl', queueMode: '0700', onReport })
      const drain = async () => {
        const ids = []
        for await (const item of queue.scan()) { ids.push(item.id); await item.done() }
        return ids
      }
      const id = await queue.enqueue('x')
      fs.chmodSync(path.join(queue.paths.queue, id), 0o440)
      const drained = [...await drain(), ...await drain()]
      fs.chmodSync(path.join(queue.paths.queue, id), 0o640)
      return { id, drained, later: await drain(), reports }`,
      { given: { root }, nobody: true },
    )
    expect(seen.drained).toEqual([])
    expect(seen.later).toEqual([seen.id])
    expect(seen.reports).toHaveLength(1)
    expect(seen.reports[0]).toMatchObject({
      type: 'unreadable',
      message: expect.stringMatching(/^is left alone: .*fcntl locks .*FSQ_ITEM_MODE such as 0660$/),
    })
    checkError(seen.reports[0]?.error, { type: PermissionError, cause: 'EACCES', says: /permission denied/ })
  })

  test('as it is a program that runs', async () => {
    const queue = await bed.install({ lockKind: 'fcntl', itemMode: '0660' })
    const name = itemName()
    const file = pathOf(queue, 'queue', name)
    fs.copyFileSync('/bin/sleep', file)
    fs.chmodSync(file, 0o700)
    const running = spawn(file.toString(), ['60'])
    await once(running, 'spawn')
    expect(await drain(queue)).toEqual([])
    expect(bed.reports).toMatchObject([{ type: 'unreadable', name, error: { errno: -26 } }])
    running.kill('SIGKILL')
    await once(running, 'close')
    expect(await drain(queue)).toEqual([name])
  })
})

ifRoot('users of a group share a queue, with items that all may write to', async () => {
  const queue = await bed.install({ lockKind: 'fcntl', queueMode: '0777', itemMode: '0666' })
  const ours = await queue.enqueue('ours')
  const seen = await inProgram<{ theirs: string; drained: string[] }>(
    `
    const queue = new Queue('q', { root: given.root, itemMode: '0666' })
    const drained = []
    for await (const item of queue.scan()) { drained.push(item.id); await item.done() }
    return { theirs: await queue.enqueue('theirs'), drained }`,
    { given: { root: bed.root }, nobody: true },
  )
  expect(seen.drained).toEqual([ours])
  expect(await drain(queue)).toEqual([seen.theirs])
})
