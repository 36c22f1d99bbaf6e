/** Installing, uninstalling and taking down queues with claims by renaming. */
import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { QueueNotEmptyError, SettingError } from '../../src/errors/classes.js'
import type { Queue } from '../../src/queue.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { onLinux } from '../support/needs.js'
import { checkError, errorOf, inProgram, names, until, useTestBed } from '../support/queue.js'
import { HandWorker } from './by-hand.js'

const bed = useTestBed()
const PARTS = ['claimed', 'claims-rename', 'done', 'down', 'fail', 'queue', 'tmp']

const rename = async (): Promise<Queue> => bed.install({ claims: 'rename' })
const partsOf = (queue: Queue): string[] => fs.readdirSync(queue.path).sort()

describe('install', () => {
  test.each([
    ['02770', 0o660],
    ['0700', 0o600],
  ])('makes the marker, claimed/ and the guard, under FSQ_QUEUE_MODE %s', async (queueMode, mode) => {
    const queue = await bed.install({ claims: 'rename', queueMode })
    expect(partsOf(queue)).toEqual(PARTS)
    const modeOf = (part: string): number => fs.statSync(path.join(queue.path, part)).mode & 0o7777
    expect(modeOf('claimed')).toBe(Number.parseInt(queueMode, 8))
    expect([modeOf('claims-rename'), modeOf('down')]).toEqual([mode, mode])
    expect(fs.readFileSync(path.join(queue.path, 'claims-rename'), 'utf8')).toBe('')
    expect(fs.readFileSync(path.join(queue.path, 'down'), 'utf8')).toMatch(
      /^This queue is worked by renames .*\n$/,
    )
    expect(await queue.isDown()).toBe(false)
  })

  test('the guard has the name of the down file of the settings', async () => {
    const queue = await bed.install({ claims: 'rename', down: 'stopped' })
    expect(partsOf(queue)).toEqual(['claimed', 'claims-rename', 'done', 'fail', 'queue', 'stopped', 'tmp'])
    await queue.down()
    expect(fs.existsSync(path.join(queue.path, 'stopped-rename'))).toBe(true)
  })

  test('with claims by locks makes none of them', async () => {
    expect(partsOf(await bed.install({ claims: 'lock' }))).toEqual(['done', 'fail', 'queue', 'tmp'])
  })

  test('by force changes the kind', async () => {
    const queue = await rename()
    await bed.install({ force: true })
    expect(partsOf(queue)).toEqual(['done', 'fail', 'queue', 'tmp'])
    await bed.install({ force: true, claims: 'rename' })
    expect(partsOf(queue)).toEqual(PARTS)
  })

  test.each(['flock', '', null, 1])('claims cannot be %p', async (claims) => {
    const error = await errorOf(async () => bed.install({ claims: claims as 'lock' }))
    checkError(error, { type: SettingError, says: /^claims is .*, expected one of 'lock', 'rename'/ })
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test.each(['flock', 'fcntl'] as const)('does not go with lockKind %s', async (lockKind) => {
    const error = await errorOf(async () => bed.install({ claims: 'rename', lockKind }))
    checkError(error, { type: SettingError, says: /^lockKind is .*, expected nothing together with claims/ })
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  onLinux.each([
    [0x6969, {}, true],
    [0x6969, { claims: 'lock' }, false],
    [0x6969, { lockKind: 'fcntl' }, false],
    [0x00c36400, {}, true],
    [0x65735546, {}, false],
    [0xef53, {}, false],
    [0xef53, { claims: 'rename' }, true],
  ])('on file system %i with %p: claims by renaming are taken: %p', async (type, options, isRename) => {
    const parts = await inProgram<string[]>(
      `await (await Queue.install('q', { root: given.root, ...given.options })).close()
      return fs.readdirSync(path.join(given.root, 'q'))`,
      {
        given: { root: bed.root, options: { itemMode: '0660', ...options } },
        flags: ['--require', FAULT_BUILD],
        env: { FSQ_FAULTS: `open.fstatfs=answer:${type}`, FSQ_ALLOW_NETWORK: '1' },
      },
    )
    expect(parts.includes('claims-rename')).toBe(isRename)
  })

  onLinux('that fails leaves nothing behind', async () => {
    const root = bed.path('root')
    fs.mkdirSync(root)
    for (const fault of [
      'install.marker#1=errno:28',
      'install.marker#2=errno:28',
      'install.write=errno:28',
      'install.rename=errno:5',
    ]) {
      const { code } = await inProgram<{ code: string }>(
        "return errorOf(() => Queue.install('q', { root: given.root, claims: 'rename' }))",
        { given: { root }, flags: ['--require', FAULT_BUILD], env: { FSQ_FAULTS: fault } },
      )
      expect(code).toMatch(/^ERR_FSQ_/)
      expect(fs.readdirSync(root)).toEqual([])
    }
  })
})

describe('down and up', () => {
  test('use a file of their own, and leave the guard alone', async () => {
    const queue = await rename()
    await queue.up()
    expect(partsOf(queue)).toEqual(PARTS)
    await queue.down()
    expect(partsOf(queue)).toEqual([...PARTS, 'down-rename'].sort())
    expect([await queue.isDown(), await bed.open().isDown()]).toEqual([true, true])
    await queue.up()
    expect(partsOf(queue)).toEqual(PARTS)
    expect(await queue.isDown()).toBe(false)
  })
})

describe('uninstall', () => {
  test('removes an empty queue, with directories of workers that hold nothing', async () => {
    const queue = await rename()
    expect(new HandWorker(queue).name).not.toBe('')
    await queue.uninstall()
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test('is refused while a worker holds an item, alive or dead', async () => {
    const queue = await rename()
    const id = await queue.enqueue('x')
    const worker = new HandWorker(queue, { alive: false })
    worker.claim(id)
    const error = await errorOf(async () => queue.uninstall())
    checkError(error, { type: QueueNotEmptyError, says: /^1 item waits in the queue 'q' \('.*\/claimed'\)/ })
    expect(partsOf(queue)).toEqual(PARTS)
    expect(await queue.isDown()).toBe(false)
    await queue.uninstall({ force: true })
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test('of a queue that is down: a refusal leaves it down', async () => {
    const queue = await rename()
    await queue.enqueue('x')
    await queue.down()
    checkError(await errorOf(async () => queue.uninstall()), {
      type: QueueNotEmptyError,
      says: /1 item waits/,
    })
    expect(await queue.isDown()).toBe(true)
    expect(names(queue, 'queue')).toHaveLength(1)
  })

  test('an item that is claimed while the queue is taken apart brings the queue back', async () => {
    const queue = await rename()
    const worker = new HandWorker(queue)
    const pause = bed.path('pause')
    const uninstall = inProgram<{ code: string }>(
      "return errorOf(() => new Queue('q', { root: given.root }).uninstall())",
      {
        given: { root: bed.root },
        flags: ['--require', FAULT_BUILD],
        env: { FSQ_FAULTS: `retire.rename#1=pause:${pause}` },
      },
    )
    await until('both looks for items have found none', () => fs.existsSync(pause))
    const id = await queue.enqueue('x')
    worker.claim(id)
    fs.unlinkSync(pause)
    expect((await uninstall).code).toBe(QueueNotEmptyError.code)
    expect(partsOf(queue)).toEqual(PARTS)
    expect(fs.existsSync(path.join(worker.path, id))).toBe(true)
    expect(await queue.isDown()).toBe(false)
  })
})
