import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'

import { describe, expect, test } from '@jest/globals'

import type { EnqueueManyError } from '../src/errors/classes.js'
import {
  DiskFullError,
  FinishError,
  FileSystemError,
  NotAQueueError,
  QueueMissingError,
  ReadOnlyError,
  SeparateMountsError,
  TooManyFilesError,
} from '../src/errors/classes.js'
import type { Queue } from '../src/queue.js'
import { given } from './support/needs.js'
import {
  type ExpectedError,
  type ShownError,
  EMPTY,
  checkError,
  contents,
  drain,
  errorOf,
  inProgram,
  itemName,
  names,
  plant,
  run,
  useTestBed,
} from './support/queue.js'

const bed = useTestBed()
const PROJECT = path.resolve(import.meta.dirname, '..')

type Use = (queue: Queue) => Promise<unknown>

const uses: readonly (readonly [string, Use])[] = [
  ['enqueue', async (queue) => queue.enqueue('x')],
  ['enqueue of nothing', async (queue) => queue.enqueue(null)],
  ['enqueue of a file', async (queue) => queue.enqueue({ path: import.meta.filename })],
  ['enqueueSync', async (queue) => queue.enqueueSync('x')],
  ['enqueueMany', async (queue) => queue.enqueueMany([{ data: 'x' }, { data: 'y' }])],
  ['scan', async (queue) => drain(queue)],
  ['items', async (queue) => queue.items().next()],
  ['find', async (queue) => queue.find(itemName())],
  ['counts', async (queue) => queue.counts()],
]

describe.each(uses)('%s', (_what, use) => {
  test('of a queue that is missing', async () => {
    checkError(await errorOf(async () => use(bed.open())), {
      type: QueueMissingError,
      cause: 'ENOENT',
      syscall: 'open',
      path: bed.path('q'),
      says: /^There is no queue 'q' in .*Install it with Queue\.install\('q'\), or set the option 'root' \(FSQ_ROOT\)/,
    })
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test('in a root that is missing', async () => {
    checkError(await errorOf(async () => use(bed.open({ root: bed.path('no', 'where') }))), {
      type: QueueMissingError,
      cause: 'ENOENT',
      path: bed.path('no', 'where', 'q'),
      says: /Install it with/,
    })
  })

  test('of a file', async () => {
    fs.writeFileSync(bed.path('q'), 'precious')
    checkError(await errorOf(async () => use(bed.open())), {
      type: NotAQueueError,
      cause: 'ENOTDIR',
      syscall: 'open',
      path: bed.path('q'),
      says: /\/q is not a queue, as it is not a directory\. Move it out of the way and install the queue/,
    })
    expect(fs.readFileSync(bed.path('q'), 'utf8')).toBe('precious')
  })

  test('of a link that leads in a circle', async () => {
    fs.symlinkSync('q', bed.path('q'))
    checkError(await errorOf(async () => use(bed.open())), {
      type: NotAQueueError,
      cause: 'ELOOP',
      syscall: 'open',
      path: bed.path('q'),
      says: /is a symbolic link that leads in a circle\. Make it lead to the queue/,
    })
  })

  const parts = ['queue', 'tmp', 'done', 'fail'] as const
  const harms: readonly (readonly [string, 'ENOENT' | 'ENOTDIR', RegExp, (part: string) => void])[] = [
    ['is missing', 'ENOENT', /is missing\. Put the directory back/, () => undefined],
    [
      'is a file',
      'ENOTDIR',
      /is not a directory \(symbolic links are not followed\)\. Put the directory back/,
      (part) => fs.writeFileSync(part, ''),
    ],
    [
      'is a link to a directory',
      'ENOTDIR',
      /is not a directory \(symbolic links are not followed\)\. Put the directory back/,
      (part) => {
        fs.mkdirSync(bed.path('elsewhere'))
        fs.symlinkSync(bed.path('elsewhere'), part)
      },
    ],
  ]

  test.each(parts.flatMap((part) => harms.map((harm) => [part, harm[0], harm] as const)))(
    'of a directory whose %s/ %s',
    async (part, _harm, [, cause, says, harm]) => {
      const queue = await bed.install()
      const where = path.join(queue.path, part)
      fs.rmdirSync(where)
      harm(where)
      checkError(await errorOf(async () => use(bed.open())), {
        type: NotAQueueError,
        cause,
        path: where,
        says,
      })
      if (fs.existsSync(bed.path('elsewhere'))) expect(fs.readdirSync(bed.path('elsewhere'))).toEqual([])
      expect(fs.readdirSync(queue.path)).toHaveLength(harm === harms[0]?.[3] ? 3 : 4)
    },
  )
})

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

describe('no descriptors left', () => {
  const prelude = `
    const fill = () => {
      const taken = []
      for (;;) {
        try { taken.push(fs.openSync('/dev/null', 'r')) } catch (error) {
          if (error.code !== 'EMFILE') throw error
          return taken
        }
      }
    }
    const free = (taken) => { for (const descriptor of taken.splice(0)) fs.closeSync(descriptor) }
    const list = (...parts) => fs.readdirSync(path.join(given.root, 'q', ...parts))
    const queue = new Queue('q', { root: given.root })
  `
  const tooMany: ExpectedError = {
    type: TooManyFilesError,
    cause: 'EMFILE',
    says: /too many open files \(EMFILE, .*Hold fewer items and files at a time, or raise the limit \(ulimit -n\)/,
  }

  test('to open the queue', async () => {
    await bed.install()
    interface Seen {
      readonly errors: ShownError[]
      readonly after: string
    }
    const seen = await inProgram<Seen>(
      `${prelude}
      const taken = fill()
      const errors = [
        await errorOf(() => queue.enqueue('x')),
        await errorOf(() => queue.enqueueSync('x')),
        await errorOf(() => queue.scan().next()),
        await errorOf(() => queue.counts()),
        await errorOf(() => Queue.install('other', { root: given.root })),
      ]
      free(taken)
      return { errors, after: await queue.enqueue('x') }`,
      { given: { root: bed.root }, shell: 'ulimit -n 64' },
    )
    for (const error of seen.errors) {
      checkError(error, tooMany)
      expect(error.path?.startsWith(bed.root)).toBe(true)
    }
    expect(fs.readdirSync(bed.root)).toEqual(['q'])
    expect(fs.readdirSync(bed.path('q', 'queue'))).toEqual([seen.after])
  })

  test('to write an item: nothing is left, and it works again when there are', async () => {
    const queue = await bed.install()
    interface Seen {
      readonly errors: ShownError[]
      readonly tmp: string[]
      readonly before: number
      readonly after: string[]
    }
    const seen = await inProgram<Seen>(
      `${prelude}
      await queue.counts()
      const taken = fill()
      const errors = [
        await errorOf(() => queue.enqueue('x')),
        await errorOf(() => queue.enqueue(null)),
        await errorOf(() => queue.enqueueSync('x')),
        await errorOf(() => queue.enqueueMany([{ data: 'x' }]).catch((error) => { throw error.outcomes[0].error })),
      ]
      free(taken)
      return { errors, tmp: list('tmp'), before: list('queue').length, after: await queue.enqueueMany([{ data: 'a' }, {}]) }`,
      { given: { root: bed.root }, shell: 'ulimit -n 64' },
    )
    for (const error of seen.errors) checkError(error, { ...tooMany, syscall: 'open' })
    expect(seen).toMatchObject({ tmp: [], before: 0 })
    expect(names(queue, 'queue')).toEqual([...seen.after].sort())
  })

  test('for a whole batch: it goes in parts', async () => {
    const queue = await bed.install()
    const body = `${prelude}
      const taken = (await queue.counts(), fill())
      fs.closeSync(taken.pop())
      fs.closeSync(taken.pop())
      const ids = await queue.enqueueMany(Array.from({ length: 100 }, (_, index) => ({ data: String(index) })))
      free(taken)
      return ids`
    const ids = await inProgram<string[]>(body, { given: { root: bed.root }, shell: 'ulimit -n 64' })
    expect(ids).toHaveLength(100)
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [...ids].sort() })
  })

  test.each([undefined, 50])(
    'to claim ahead (prefetch %p): no more are claimed ahead than there is room for',
    async (prefetch) => {
      const queue = await bed.install({ durability: 'none' })
      const ids = await queue.enqueueMany(Array.from({ length: 100 }, () => ({ data: 'x' })))
      const order = await inProgram<string[]>(
        `${prelude}
      await queue.counts()
      const taken = fill()
      for (let room = 0; room < 6; room++) fs.closeSync(taken.pop())
      const order = []
      for await (const item of queue.scan({ prefetch: given.prefetch })) {
        order.push(item.id)
        await item.done()
      }
      free(taken)
      return order`,
        { given: { root: bed.root, prefetch }, shell: 'ulimit -n 64' },
      )
      expect(order).toEqual(ids)
      expect(names(queue, 'done')).toEqual([...ids].sort())
    },
  )

  test('to claim more: what is claimed is good, and then it is an error', async () => {
    const queue = await bed.install({ durability: 'none' })
    const ids = await queue.enqueueMany(Array.from({ length: 100 }, () => ({ data: 'x' })))
    interface Seen {
      readonly error: ShownError
      readonly held: number
      readonly done: number
      readonly rest: number
    }
    const seen = await inProgram<Seen>(
      `${prelude}
      const items = []
      const error = await errorOf(async () => { for await (const item of queue.scan()) items.push(item) })
      const held = items.filter(({ claimed }) => claimed).length
      await Promise.all(items.map((item) => item.done()))
      const done = list('done').length
      let rest = 0
      for await (const item of queue.scan()) { await item.done(); rest++ }
      return { error, held, done, rest }`,
      { given: { root: bed.root }, shell: 'ulimit -n 64' },
    )
    checkError(seen.error, { ...tooMany, syscall: 'openat' })
    expect(path.dirname(seen.error.path ?? '')).toBe(bed.path('q', 'queue'))
    expect(seen.held).toBeGreaterThan(5)
    expect(seen.done).toBe(seen.held)
    expect(seen.done + seen.rest).toBe(100)
    expect(names(queue, 'done')).toEqual([...ids].sort())
  })
})

describe('a file that grows too large for the limits', () => {
  test('is an error, and leaves nothing', async () => {
    const queue = await bed.install()
    const error = await inProgram<ShownError>(
      `
      process.on('SIGXFSZ', () => {})
      const queue = new Queue('q', { root: given.root })
      return errorOf(() => queue.enqueue('x'.repeat(1 << 20)))`,
      { given: { root: bed.root }, shell: 'ulimit -f 128' },
    )
    checkError(error, {
      type: FileSystemError,
      cause: 'EFBIG',
      syscall: 'write',
      says: /the limits \(ulimit -f\) allow/,
    })
    expect(contents(queue)).toEqual(EMPTY)
  })
})

describe('the addon is missing', () => {
  /** The package as it is installed, but for the addon. */
  function installWithout(): string {
    const folder = bed.path('node_modules', 'fsq')
    fs.mkdirSync(folder, { recursive: true })
    for (const file of ['dist', 'binding.cjs', 'package.json']) {
      fs.cpSync(path.join(PROJECT, file), path.join(folder, file), { recursive: true })
    }
    fs.cpSync(
      fs.realpathSync(path.join(PROJECT, 'node_modules', 'node-gyp-build')),
      bed.path('node_modules', 'node-gyp-build'),
      { recursive: true },
    )
    return folder
  }

  const show =
    `({ name, code, message, advice, cause }) => ` +
    `console.log(JSON.stringify({ name, code, message, advice, cause: cause.code }))`

  test.each([
    ['import', `import('fsq').catch(${show})`],
    ['require', `try { require('fsq') } catch (error) { (${show})(error) }`],
  ])('%s says so, and how to build it', async (how, source) => {
    const folder = installWithout()
    fs.writeFileSync(bed.path('program.cjs'), source)
    const flags = [
      '--disable-warning=ExperimentalWarning',
      ...(how === 'require' ? ['--experimental-require-module'] : []),
    ]
    const ended = await run(process.execPath, [...flags, bed.path('program.cjs')])
    expect(ended.stderr).toBe('')
    const error = JSON.parse(ended.stdout) as Record<'name' | 'code' | 'message' | 'advice' | 'cause', string>
    expect(error).toMatchObject({
      name: 'AddonMissingError',
      code: 'ERR_FSQ_ADDON_MISSING',
      cause: 'ERR_FSQ_ADDON_MISSING',
    })
    const [what = '', next = ''] = error.message.split('\n')
    expect(error.advice).toBe(next)
    expect(what).toContain(`fsq has no addon that loads on ${process.platform} ${process.arch}`)
    expect(what).toContain(process.version)
    expect(next).toMatch(
      /^Build it with this command \(it needs a C\+\+20 compiler, make and cmake\): npx .*cmake-js/,
    )
    expect(next).toContain(`--directory "${folder}"`)
  })

  test('in a clone the command is the one of the clone', async () => {
    const folder = installWithout()
    fs.writeFileSync(path.join(folder, 'binding.gyp'), '{}')
    fs.writeFileSync(
      bed.path('program.mjs'),
      `await import('fsq').catch(({ message }) => console.log(message))`,
    )
    const { stdout } = await run(process.execPath, [bed.path('program.mjs')])
    expect(stdout).toMatch(/Build it with this command: npm run build:addon/)
  })

  test('an addon that does not load is named with the reason', async () => {
    const folder = installWithout()
    fs.mkdirSync(path.join(folder, 'build', 'Release'), { recursive: true })
    fs.writeFileSync(path.join(folder, 'build', 'Release', 'fsq.node'), 'no library')
    fs.writeFileSync(
      bed.path('program.mjs'),
      `await import('fsq').catch(({ code, message }) => console.log(code, message))`,
    )
    const { stdout } = await run(process.execPath, [bed.path('program.mjs')])
    expect(stdout).toMatch(
      /^ERR_FSQ_ADDON_MISSING fsq has no addon that loads on .*fsq\.node.*\nBuild it with/,
    )
  })
})

test('items of a removed directory are an error of the scan, not of the process', async () => {
  const queue = await bed.install()
  await queue.enqueue('x')
  fs.renameSync(path.join(queue.path, 'queue'), bed.path('away'))
  checkError(await errorOf(async () => drain(queue)), {
    type: NotAQueueError,
    cause: 'ENOENT',
    path: bed.path('q', 'queue'),
    says: /is missing\. Put the directory back/,
  })
  fs.renameSync(bed.path('away'), path.join(queue.path, 'queue'))
  expect(await drain(queue)).toHaveLength(1)
})

test('many things go wrong at once: each is one error of its own, and the rest goes on', async () => {
  const queue = await bed.install()
  plant(queue, 'malformed')
  fs.symlinkSync('nowhere', path.join(queue.path, 'queue', 'link'))
  fs.mkdirSync(path.join(queue.path, 'queue', 'directory'))
  execFileSync('mkfifo', [path.join(queue.path, 'queue', 'fifo')])
  plant(queue, itemName({ tries: 9 }))
  const error = await errorOf(async () =>
    queue.enqueueMany([
      { data: 'a' },
      { data: { path: bed.path('missing') } },
      { args: ['\ud800'] },
      { data: 'b' },
    ]),
  )
  expect((error as EnqueueManyError).outcomes.map((outcome) => 'id' in outcome)).toEqual([
    true,
    false,
    false,
    true,
  ])
  expect(await drain(queue)).toHaveLength(2)
  expect(bed.reportTypes().sort()).toEqual(['exhausted', 'foreign', 'foreign', 'foreign', 'malformed'])
  expect(names(queue, 'queue')).toEqual(['directory', 'fifo', 'link'])
  expect(names(queue, 'tmp')).toEqual([])
})
