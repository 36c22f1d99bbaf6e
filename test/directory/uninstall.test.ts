import fs from 'node:fs'
import fsp from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'

import { describe, expect, jest, test } from '@jest/globals'

import {
  DiskFullError,
  NotAQueueError,
  NotDurableError,
  QueueClosedError,
  QueueMissingError,
  QueueNotEmptyError,
} from '../../src/errors/classes.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import {
  type ShownError,
  checkError,
  contents,
  drain,
  errorOf,
  inProgram,
  plant,
  useTestBed,
} from '../support/queue.js'
import { DIRECTORIES, tree } from './tree.js'

const bed = useTestBed()

describe('uninstall', () => {
  test('that may not survive a power cut says so, and closes the handle', async () => {
    interface Seen {
      readonly error: ShownError
      readonly after: ShownError
      readonly open: string[]
    }
    const seen = await inProgram<Seen>(
      `
      const queue = await Queue.install('q', { root: given.root })
      await queue.counts()
      const error = await errorOf(() => queue.uninstall())
      const open = fs.readdirSync('/dev/fd').flatMap((fd) => {
        try {
          return fs.readlinkSync('/proc/self/fd/' + fd)
        } catch {
          return []
        }
      })
      return { error, after: await errorOf(() => queue.counts()), open: open.filter((file) => file.includes('.fsq-')) }`,
      {
        given: { root: bed.root },
        flags: ['--require', FAULT_BUILD],
        env: { FSQ_FAULTS: 'retire.fsyncroot=errno:5' },
      },
    )
    checkError(seen.error, {
      type: NotDurableError,
      cause: 'EIO',
      says: /has been uninstalled, but a power cut/,
    })
    checkError(seen.after, { type: QueueClosedError, says: /closed/ })
    expect(seen.open).toEqual([])
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test('removes the queue, with what is done and failed, and closes the handle', async () => {
    const queue = await bed.install()
    plant(queue, 'a', 'x', 'done')
    plant(queue, '\xff', 'x', 'fail')
    plant(queue, 'c', 'x', 'tmp')
    await queue.uninstall()
    expect(tree(bed.root)).toEqual({})
    expect(await errorOf(async () => queue.enqueue('x'))).toBeInstanceOf(QueueClosedError)
    await bed.install()
  })

  test.each(['an item', 'a directory'])(
    'refuses while there is %s in queue/, and everything goes on',
    async (what) => {
      const queue = await bed.install()
      if (what === 'an item') await queue.enqueue('precious')
      else fs.mkdirSync(bed.path('q', 'queue', 'precious'))
      const before = tree(bed.root)
      const error = await errorOf(async () => queue.uninstall())
      checkError(error, {
        type: QueueNotEmptyError,
        says: /1 item waits in the queue 'q' \(.*\/q\/queue'\), so it is not uninstalled.*option force/,
        path: bed.path('q', 'queue'),
      })
      expect(tree(bed.root)).toEqual(before)
      expect(await queue.isDown()).toBe(false)
      const id = await queue.enqueue('next')
      expect(await drain(queue)).toContain(id)
    },
  )

  test('refuses while the queue of a host has items', async () => {
    const queue = await bed.install()
    const waiting = bed.path('q', 'hosts', 'a.host', 'queue')
    fs.mkdirSync(waiting, { recursive: true })
    fs.writeFileSync(bed.path('q', 'hosts', 'note'), 'no directory')
    fs.writeFileSync(path.join(waiting, 'item'), 'precious')
    checkError(await errorOf(async () => queue.uninstall()), {
      type: QueueNotEmptyError,
      says: /1 item waits/,
      path: waiting,
    })
    fs.unlinkSync(path.join(waiting, 'item'))
    await queue.uninstall()
    expect(tree(bed.root)).toEqual({})
  })

  test('is refused where a host gets an item in the very moment, and nothing is lost', async () => {
    const queue = await bed.install()
    const waiting = ['a', 'b'].map((host) => bed.path('q', 'hosts', host, 'queue'))
    for (const directory of waiting) {
      fs.mkdirSync(directory, { recursive: true })
      fs.chmodSync(directory, 0o2751)
    }
    fs.mkdirSync(bed.path('q', 'hosts', 'without'))
    const before = tree(bed.root)
    const { rmdir } = fsp
    const remove = jest.spyOn(fsp, 'rmdir').mockImplementation(async (directory) => {
      if (path.basename(path.dirname(String(directory))) === 'b')
        fs.writeFileSync(path.join(String(directory), 'item'), 'precious')
      return rmdir(directory)
    })
    const error = await errorOf(async () => queue.uninstall())
    remove.mockRestore()
    checkError(error, { type: QueueNotEmptyError, says: /1 item waits/, path: waiting[1] ?? '' })
    fs.unlinkSync(path.join(waiting[1] ?? '', 'item'))
    expect(tree(bed.root)).toEqual(before)
    await queue.uninstall()
    expect(tree(bed.root)).toEqual({})
  })

  test.each([
    ['chown', 'EPERM', QueueNotEmptyError],
    ['mkdir', 'ENOSPC', DiskFullError],
  ] as const)(
    'is refused, and a directory cannot be made as it was (%s: %s): the queue has its name again',
    async (call, code, type) => {
      const queue = await bed.install()
      const waiting = ['a', 'b'].map((host) => bed.path('q', 'hosts', host, 'queue'))
      for (const directory of waiting) fs.mkdirSync(directory, { recursive: true })
      const { rmdir } = fsp
      jest.spyOn(fsp, 'rmdir').mockImplementation(async (directory) => {
        if (path.basename(path.dirname(String(directory))) === 'b')
          fs.writeFileSync(path.join(String(directory), 'item'), 'precious')
        return rmdir(directory)
      })
      jest.spyOn(fsp, call).mockImplementation(async (directory: unknown) => {
        const path = String(directory)
        const errno = -os.constants.errno[code]
        throw Object.assign(new Error(`${code}, ${call}`), { code, errno, syscall: call, path })
      })
      const error = await errorOf(async () => queue.uninstall())
      jest.restoreAllMocks()
      checkError(error, { type, says: /q/ })
      expect(fs.readFileSync(path.join(waiting[1] ?? '', 'item'), 'utf8')).toBe('precious')
      expect(fs.readdirSync(bed.root)).toEqual(['q'])
      expect(await bed.open().isDown()).toBe(false)
    },
  )

  test('that is refused ends no loop', async () => {
    const queue = await bed.install()
    const stop = new AbortController()
    const loop = queue.scanForever({ signal: stop.signal })
    await queue.enqueue('first')
    const { value: first } = await loop.next()
    const next = loop.next()
    expect(await errorOf(async () => bed.open().uninstall())).toBeInstanceOf(QueueNotEmptyError)
    const id = await queue.enqueue('second')
    expect((await next).value).toMatchObject({ id })
    await (first as WorkItem).done()
    await loop.return()
  })

  test('refuses and leaves a queue down that was down', async () => {
    const queue = await bed.install()
    await queue.enqueue('x')
    await queue.down()
    expect(await errorOf(async () => queue.uninstall())).toBeInstanceOf(QueueNotEmptyError)
    expect(await queue.isDown()).toBe(true)
  })

  test('with force removes what waits', async () => {
    const queue = await bed.install()
    await queue.enqueueMany(Array.from({ length: 50 }, () => ({ data: 'x' })))
    await queue.uninstall({ force: true })
    expect(tree(bed.root)).toEqual({})
  })

  test('of a link removes the queue that it leads to, and the link', async () => {
    fs.mkdirSync(bed.path('elsewhere'))
    const real = await bed.install({ root: bed.path('elsewhere') }, 'real')
    fs.symlinkSync('elsewhere/real', bed.path('q'))
    const queue = bed.open()
    await queue.enqueue('x')
    expect(await errorOf(async () => queue.uninstall())).toBeInstanceOf(QueueNotEmptyError)
    expect(contents(real).queue).toHaveLength(1)
    expect(await drain(queue)).toHaveLength(1)
    await queue.uninstall()
    expect(tree(bed.root)).toEqual({ elsewhere: {} })
  })

  test('of what is missing', async () => {
    const error = await errorOf(async () => bed.open().uninstall())
    checkError(error, {
      type: QueueMissingError,
      cause: 'ENOENT',
      path: bed.path('q'),
      says: /There is no queue 'q' in .*Install it with Queue\.install/,
    })
  })

  test.each([
    ['a file', () => fs.writeFileSync(bed.path('q'), 'precious')],
    ['an empty directory', () => fs.mkdirSync(bed.path('q'))],
    ['a directory of something else', () => fs.cpSync(import.meta.filename, bed.path('q', 'precious.ts'))],
    [
      'a directory of something else that has a queue/, too',
      () => {
        fs.mkdirSync(bed.path('q', 'queue'), { recursive: true })
        fs.writeFileSync(bed.path('q', 'precious'), 'x')
      },
    ],
    [
      'a directory with links for parts',
      () => {
        fs.mkdirSync(bed.path('precious'))
        fs.writeFileSync(bed.path('precious', 'x'), 'x')
        fs.mkdirSync(bed.path('q'))
        for (const name of DIRECTORIES) fs.symlinkSync('../precious', bed.path('q', name))
      },
    ],
  ] as const)('of %s is refused, also by force, and nothing is touched', async (_what, make) => {
    make()
    const before = tree(bed.root)
    for (const force of [false, true]) {
      const error = await errorOf(async () => bed.open().uninstall({ force }))
      checkError(error, {
        type: NotAQueueError,
        says: /\/q (is not a queue|lacks directories of a queue, so it is not uninstalled).*Remove it by hand/,
      })
      expect(tree(bed.root)).toEqual(before)
    }
  })

  test('is refused where a link was planted as `down`, and its target is untouched', async () => {
    const queue = await bed.install()
    fs.writeFileSync(bed.path('precious'), 'x', { mode: 0o600 })
    fs.symlinkSync('../precious', bed.path('q', 'down'))
    const before = tree(bed.root)
    checkError(await errorOf(async () => queue.uninstall()), {
      type: NotAQueueError,
      says: /not a regular file.*remove it/,
    })
    expect(tree(bed.root)).toEqual(before)
    expect(fs.statSync(bed.path('precious')).mode & 0o777).toBe(0o600)
  })
})

test('many uninstallations at once: one removes the queue, to the others it is missing', async () => {
  const queues = [await bed.install(), ...Array.from({ length: 9 }, () => bed.open())]
  const outcomes = await Promise.all(
    queues.map(async (queue) => queue.uninstall().catch((error: unknown) => error)),
  )
  expect(outcomes.filter((outcome) => outcome === undefined)).toHaveLength(1)
  for (const outcome of outcomes) if (outcome !== undefined) expect(outcome).toBeInstanceOf(QueueMissingError)
  expect(tree(bed.root)).toEqual({})
})
