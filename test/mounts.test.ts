import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import {
  DiskFullError,
  FinishError,
  NotAQueueError,
  ReadOnlyError,
  SeparateMountsError,
} from '../src/errors/classes.js'
import { given } from './support/needs.js'
import { type ShownError, checkError, inProgram, useTestBed } from './support/queue.js'

const bed = useTestBed()

// Mounts of their own need a namespace, which not every kernel and container gives.
const canMount =
  spawnSync('unshare', ['--map-root-user', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0
const ifMounts = given(canMount)

ifMounts.test(
  'two parts that are one directory are no queue: a move into itself would lose items',
  async () => {
    const answer = await inProgram<ShownError>(
      `
    const queue = await Queue.install('q', { root: given.root })
    execFileSync('mount', ['--bind', path.join(queue.path, 'queue'), path.join(queue.path, 'done')])
    return errorOf(() => new Queue('q', { root: given.root }).enqueue('x'))`,
      { given: { root: bed.root }, namespace: true },
    )
    checkError(answer, {
      type: NotAQueueError,
      cause: 'EINVAL',
      path: bed.path('q', 'done'),
      says: /done is the same directory as another part of the queue/,
    })
  },
)

ifMounts.describe(
  `on a mount of its own${canMount ? '' : ' (skipped: unshare --map-root-user --mount does not work here)'}`,
  () => {
    const inNamespace = async <Answer>(options: string, body: string): Promise<Answer> => {
      fs.mkdirSync(bed.path('m'), { recursive: true })
      const mounting = `execFileSync('mount', ['-t', 'tmpfs', '-o', given.options, 'none', given.root])\n`
      const listing = `const list = (...parts) => fs.readdirSync(path.join(given.root, 'q', ...parts))\n`
      return inProgram<Answer>(mounting + listing + body, {
        given: { root: bed.path('m'), options, file: import.meta.filename },
        namespace: true,
      })
    }
    const at = (...parts: string[]): string => bed.path('m', 'q', ...parts)

    test('read-only', async () => {
      interface Seen {
        readonly errors: Record<string, ShownError>
        readonly reads: unknown[]
      }
      const seen = await inNamespace<Seen>(
        'size=1m',
        `
      const queue = await Queue.install('q', { root: given.root })
      const id = await queue.enqueue('x')
      const { value: item } = await queue.scan().next()
      execFileSync('mount', ['-o', 'remount,bind,ro', given.root])
      const errors = {}
      for (const [name, use] of Object.entries({
        enqueue: () => queue.enqueue('x'),
        'enqueue of nothing': () => queue.enqueue(null),
        enqueueSync: () => queue.enqueueSync('x'),
        install: () => Queue.install('other', { root: given.root }),
        down: () => queue.down(),
        uninstall: () => queue.uninstall({ force: true }),
        done: () => item.done(),
      })) errors[name] = await errorOf(use)
      const reads = [await item.text(), await queue.counts(), (await queue.find(id)).state]
      await queue.close()
      return { errors, reads }`,
      )
      const { done, ...others } = seen.errors
      expect(Object.keys(others)).toHaveLength(6)
      for (const error of Object.values(others)) {
        checkError(error, {
          type: ReadOnlyError,
          cause: 'EROFS',
          says: /read-only file system \(EROFS, .*Mount the file system for writing, or put FSQ_ROOT on one that is/,
        })
        expect(error.path).toMatch(/^\/.*\/m\//)
      }
      checkError(done, {
        type: FinishError,
        cause: 'EROFS',
        path: at('queue', names0(done)),
        says: /It stays claimed/,
      })
      expect(seen.reads).toEqual(['x', { waiting: 1, done: 0, failed: 0, tmp: 0 }, 'waiting'])
    })

    const names0 = (error: ShownError | undefined): string => path.basename(error?.path ?? '')

    test('full in the middle of a payload: nothing is left, and small items go on', async () => {
      interface Seen {
        readonly errors: Record<string, ShownError>
        readonly listed: string[][]
        readonly outcomes: string[]
        readonly after: number
      }
      const seen = await inNamespace<Seen>(
        'size=64k',
        `
      const queue = await Queue.install('q', { root: given.root })
      const large = 'x'.repeat(1 << 20)
      fs.writeFileSync('/dev/shm/large-' + process.pid, large)
      const errors = {}, listed = []
      for (const [name, use] of Object.entries({
        enqueue: () => queue.enqueue(large),
        enqueueSync: () => queue.enqueueSync(large),
        'enqueue of a file': () => queue.enqueue({ path: '/dev/shm/large-' + process.pid }),
      })) {
        errors[name] = await errorOf(use)
        listed.push([...list('tmp'), ...list('queue')])
      }
      fs.unlinkSync('/dev/shm/large-' + process.pid)
      const many = await queue.enqueueMany([{ data: 'a' }, { data: large }, { data: 'b' }]).catch((error) => error)
      const outcomes = many.outcomes.map((outcome) => outcome.error?.code ?? 'id')
      listed.push(list('tmp'))
      let after = 0
      for await (const item of queue.scan()) { await item.done(); after++ }
      return { errors, listed, outcomes, after }`,
      )
      for (const [name, error] of Object.entries(seen.errors)) {
        checkError(error, {
          type: DiskFullError,
          cause: 'ENOSPC',
          syscall: name === 'enqueue of a file' ? 'copy_file_range' : 'write',
          says: /no space left on device \(ENOSPC, .*Make room .*and try again/,
        })
      }
      expect(seen.errors['enqueue']?.path).toBe(at('tmp'))
      expect(seen.listed).toEqual([[], [], [], []])
      expect(seen.outcomes).toEqual(['id', DiskFullError.code, 'id'])
      expect(seen.after).toBe(2)
    })

    test('without inodes left', async () => {
      interface Seen {
        readonly error: ShownError
        readonly count: number
        readonly tmp: string[]
      }
      const seen = await inNamespace<Seen>(
        'size=1m,nr_inodes=12',
        `
      const queue = await Queue.install('q', { root: given.root })
      let count = 0
      const error = await errorOf(async () => { for (;;) { await queue.enqueue(count % 2 ? 'x' : null); count++ } })
      return { error, count: list('queue').length - count, tmp: list('tmp') }`,
      )
      checkError(seen.error, {
        type: DiskFullError,
        cause: 'ENOSPC',
        says: /Make room \(inodes, too: see df -i\)/,
      })
      expect(seen).toMatchObject({ count: 0, tmp: [] })
    })

    const mounts = /separate mounts \(Docker volumes\?\): mount the whole queue, or FSQ_ROOT, as one/

    test.each(['queue', 'tmp'])('%s/ on another mount: no item can be added', async (part) => {
      const seen = await inNamespace<{ errors: ShownError[]; listed: string[] }>(
        'size=1m',
        `
      await Queue.install('q', { root: given.root })
      execFileSync('mount', ['-t', 'tmpfs', 'none', path.join(given.root, 'q', '${part}')])
      const queue = new Queue('q', { root: given.root })
      const errors = [await errorOf(() => queue.enqueue('x')), await errorOf(() => queue.enqueueSync('x'))]
      return { errors, listed: [...list('tmp'), ...list('queue')] }`,
      )
      for (const error of seen.errors) {
        checkError(error, {
          type: SeparateMountsError,
          cause: 'EXDEV',
          syscall: 'linkat',
          path: at('tmp'),
          says: mounts,
        })
        expect(error.dest?.startsWith(at('queue'))).toBe(true)
      }
      expect(seen.listed).toEqual([])
    })

    test.each([
      ['done', 'done'],
      ['fail', 'fail'],
    ])('%s/ on another mount: %s keeps the claim, and says why', async (part, action) => {
      interface Seen {
        readonly error: ShownError
        readonly claimed: boolean
        readonly waiting: number
      }
      const seen = await inNamespace<Seen>(
        'size=1m',
        `
      await Queue.install('q', { root: given.root })
      execFileSync('mount', ['-t', 'tmpfs', 'none', path.join(given.root, 'q', '${part}')])
      const queue = new Queue('q', { root: given.root })
      await queue.enqueue('x')
      const { value: item } = await queue.scan().next()
      const error = await errorOf(() => item.${action}())
      const seen = { error, claimed: item.claimed, waiting: list('queue').length }
      await queue.close()
      return seen`,
      )
      checkError(seen.error, { type: FinishError, cause: 'EXDEV', says: mounts })
      expect(seen).toMatchObject({ claimed: true, waiting: 1 })
    })

    test('fail/ on another mount: what should go there is reported, left alone, and the loop goes on', async () => {
      interface Seen {
        readonly reports: { type: string; message: string }[]
        readonly done: number
        readonly waiting: string[]
      }
      const seen = await inNamespace<Seen>(
        'size=1m',
        `
      const reports = []
      await Queue.install('q', { root: given.root })
      execFileSync('mount', ['-t', 'tmpfs', 'none', path.join(given.root, 'q', 'fail')])
      const queue = new Queue('q', { root: given.root, onReport: ({ type, message }) => reports.push({ type, message }) })
      fs.writeFileSync(path.join(queue.path, 'queue', 'malformed'), '')
      await queue.enqueue('x')
      let done = 0
      for (let round = 0; round < 2; round++) for await (const item of queue.scan()) { await item.done(); done++ }
      return { reports, done, waiting: list('queue') }`,
      )
      expect(seen).toMatchObject({ done: 1, waiting: ['malformed'] })
      expect(seen.reports.map(({ type }) => type)).toEqual(['unmovable'])
      expect(seen.reports[0]?.message).toMatch(mounts)
    })

    test('a mount point cannot become a queue', async () => {
      const error = await inNamespace<ShownError>(
        'size=1m',
        `
      fs.mkdirSync(path.join(given.root, 'q'))
      execFileSync('mount', ['-t', 'tmpfs', 'none', path.join(given.root, 'q')])
      const error = await errorOf(() => Queue.install('q', { root: given.root }))
      return { ...error, left: fs.readdirSync(given.root) }`,
      )
      expect(error).toMatchObject({ code: 'ERR_FSQ_QUEUE_EXISTS', left: ['q'] })
      expect(error.message).toMatch(
        /is a mount point, which cannot become a queue\. Mount .* \(FSQ_ROOT\) instead/,
      )
    })
  },
)
