/**
 * Calls for which a process lacks permission. Root may do everything, so the programs here give it up; without root they are who they
 * are, and what needs two users is skipped.
 */
import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { PayloadError, PermissionError } from '../src/errors/classes.js'
import { PERMISSION_FLAG, ifRoot, isRoot } from './support/needs.js'
import {
  type ShownError,
  EMPTY,
  checkError,
  contents,
  inProgram,
  itemName,
  names,
  pathOf,
  plant,
  useTestBed,
} from './support/queue.js'

const bed = useTestBed()
const advice =
  /permission denied \(EACCES, .*Run as the owner of this path .* give the user of this process read, write and search permission/

/** A root in which every user may install. */
function openRoot(): string {
  const root = bed.path('root')
  fs.mkdirSync(root)
  fs.chmodSync(root, 0o777)
  return root
}

const inNobody = async <Answer>(body: string, given: object = {}): Promise<Answer> =>
  inProgram<Answer>(
    `
    const reports = []
    const onReport = ({ type, name, message, error }) => reports.push({ type, name, message, error: error && show(error) })
    const open = (options = {}) => new Queue('q', { root: given.root, onReport, ...options })
    const drain = async (queue) => {
      const ids = []
      for await (const item of queue.scan()) { await item.done(); ids.push(item.id) }
      return ids
    }
    ${body}`,
    { given: { root: bed.root, ...given }, nobody: true },
  )

interface SeenReport {
  readonly type: string
  readonly name: string
  readonly message: string
  readonly error?: ShownError
}

const uses = `({
  enqueue: (queue) => queue.enqueue('x'),
  'enqueue of nothing': (queue) => queue.enqueue(null),
  enqueueSync: (queue) => queue.enqueueSync('x'),
  enqueueMany: (queue) => queue.enqueueMany([{ data: 'x' }]).catch((error) => { throw error.outcomes?.[0].error ?? error }),
  scan: (queue) => drain(queue),
  items: (queue) => queue.items().next(),
  find: (queue) => queue.find('${itemName()}'),
  counts: (queue) => queue.counts(),
  isDown: (queue) => queue.isDown(),
  down: (queue) => queue.down(),
  up: (queue) => queue.up(),
  uninstall: (queue) => queue.uninstall({ force: true }),
  'install by force': () => Queue.install('q', { root: given.root, force: true }),
})`

describe('a queue of another user', () => {
  ifRoot('that may not even be looked into: every call says so, and nothing is changed', async () => {
    const queue = await bed.install({ queueMode: '0700' })
    const id = await queue.enqueue('x')
    const errors = await inNobody<Record<string, ShownError>>(`
      const errors = {}
      for (const [name, use] of Object.entries(${uses})) errors[name] = await errorOf(() => use(open()))
      return errors`)
    const codes = Object.entries(errors).map(([name, { code }]) => [name, code])
    expect(codes.filter(([, code]) => code !== PermissionError.code)).toEqual([])
    expect(codes).toHaveLength(13)
    for (const error of Object.values(errors)) {
      checkError(error, { type: PermissionError, cause: 'EACCES', says: advice })
      expect(error.path?.startsWith(queue.path)).toBe(true)
    }
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [id] })
    expect(await queue.isDown()).toBe(false)
  })

  ifRoot('that may be read only: looking works, and nothing else', async () => {
    const queue = await bed.install({ queueMode: '0755', itemMode: '0644' })
    const id = await queue.enqueue('x')
    interface Seen {
      readonly errors: Record<string, ShownError>
      readonly listed: string[]
      readonly counts: object
      readonly isDown: boolean
    }
    const seen = await inNobody<Seen>(`
      const queue = open()
      const errors = {}
      const { enqueue, enqueueSync, enqueueMany, down, uninstall, ...others } = ${uses}
      const writing = { enqueue, 'enqueue of nothing': others['enqueue of nothing'], enqueueSync, enqueueMany, down, uninstall }
      for (const [name, use] of Object.entries(writing)) errors[name] = await errorOf(() => use(queue))
      const listed = []
      for await (const { id } of queue.items()) listed.push(id)
      return { errors, listed, counts: await queue.counts(), isDown: await queue.isDown() }`)
    expect(Object.keys(seen.errors)).toHaveLength(6)
    for (const error of Object.values(seen.errors))
      checkError(error, { type: PermissionError, cause: 'EACCES', says: advice })
    expect(seen.listed).toEqual([id])
    expect(seen.counts).toEqual({ waiting: 1, done: 0, failed: 0, tmp: 0 })
    expect(seen.isDown).toBe(false)
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [id] })
    expect(fs.readdirSync(bed.root)).toEqual(['q'])
  })

  ifRoot('that everybody may write to is worked by both', async () => {
    const queue = await bed.install({ queueMode: '0777', itemMode: '0666' })
    const ours = await queue.enqueue('ours')
    const seen = await inNobody<{ theirs: string; drained: string[] }>(`
      const queue = open({ itemMode: '0666' })
      const theirs = await queue.enqueue('theirs')
      return { theirs, drained: await drain(queue) }`)
    expect(seen.drained.sort()).toEqual([ours, seen.theirs].sort())
    expect(names(queue, 'done')).toEqual([...seen.drained].sort())
  })
})

// A umask that takes all permissions from others may take them from the owner, too; root does not notice.
test.each([0o777, 0o300, 0o400, 0o500])('install under umask %i', async (umask) => {
  const root = openRoot()
  const body = `
    process.umask(given.umask)
    const queue = await Queue.install('q', { root: given.root })
    const id = await queue.enqueue('x')
    return [id, ...(await drain(queue))]`
  const [id, ...drained] = await inNobody<string[]>(body, { root, umask })
  expect(drained).toEqual([id])
  for (const part of ['', 'queue', 'tmp', 'done', 'fail'])
    expect(fs.statSync(path.join(root, 'q', part)).mode & 0o7777).toBe(0o2770)
  expect(fs.readdirSync(root)).toEqual(['q'])
})

describe('one directory of a queue that may not be written to', () => {
  interface Seen {
    readonly errors: Record<string, ShownError>
    readonly listed: Record<string, string[]>
    readonly after: string[]
  }
  const body = `
    const queue = await Queue.install('q', { root: given.root, queueMode: '0777' })
    const directory = path.join(queue.path, given.place)
    const list = () => Object.fromEntries(['queue', 'tmp', 'done', 'fail'].map((place) => [place, fs.readdirSync(path.join(queue.path, place))]))
    fs.chmodSync(directory, 0o555)
    const { enqueue, 'enqueue of nothing': nothing, enqueueSync, enqueueMany } = ${uses}
    const errors = {}
    for (const [name, use] of Object.entries({ enqueue, nothing, enqueueSync, enqueueMany })) {
      errors[name] = await errorOf(() => use(queue))
    }
    const listed = list()
    fs.chmodSync(directory, 0o777)
    await queue.enqueue('x')
    return { errors, listed, after: await drain(queue) }`

  test('queue/: no item can be added, tmp/ stays clean, and it works once it is mended', async () => {
    const seen = await inNobody<Seen>(body, { root: openRoot(), place: 'queue' })
    for (const error of Object.values(seen.errors)) {
      checkError(error, { type: PermissionError, cause: 'EACCES', says: advice })
      expect(error.dest ?? error.path).toMatch(/\/root\/q\/queue\//)
    }
    expect(seen.listed).toEqual(EMPTY)
    expect(seen.after).toHaveLength(1)
  })

  test('tmp/: the same, but for items without contents, which do not need it', async () => {
    const seen = await inNobody<Seen>(body, { root: openRoot(), place: 'tmp' })
    const { nothing, ...others } = seen.errors
    expect(nothing?.name).toBe('none')
    for (const error of Object.values(others)) {
      checkError(error, { type: PermissionError, cause: 'EACCES', syscall: 'open', says: advice })
      expect(error.path).toMatch(/\/root\/q\/tmp/)
    }
    expect(seen.listed).toMatchObject({ tmp: [], queue: [expect.any(String)] })
    expect(seen.after).toHaveLength(2)
  })

  test('fail/: what should go there is reported once, left alone, and the loop goes on', async () => {
    interface Failing {
      readonly reports: SeenReport[]
      readonly drained: number
      readonly waiting: string[]
      readonly later: string[]
    }
    const seen = await inNobody<Failing>(
      `
      const queue = await Queue.install('q', { root: given.root, onReport })
      const list = (place) => fs.readdirSync(path.join(queue.path, place)).sort()
      fs.chmodSync(path.join(queue.path, 'fail'), 0o555)
      for (const name of ['malformed', given.exhausted]) fs.writeFileSync(path.join(queue.path, 'queue', name), '')
      await queue.enqueueMany([{ data: 'a' }, { data: 'b' }])
      let drained = 0
      for (let round = 0; round < 2; round++) drained += (await drain(queue)).length
      const waiting = list('queue')
      fs.chmodSync(path.join(queue.path, 'fail'), 0o755)
      await drain(queue)
      return { reports, drained, waiting, later: list('fail') }`,
      { root: openRoot(), exhausted: itemName({ tries: 7 }) },
    )
    expect(seen.drained).toBe(2)
    expect(seen.waiting).toEqual([itemName({ tries: 7 }), 'malformed'])
    expect(seen.later).toEqual(seen.waiting)
    const unmovable = seen.reports.filter(({ type }) => type === 'unmovable')
    expect(unmovable.map(({ name }) => name).sort()).toEqual(seen.waiting)
    for (const { message, error } of unmovable) {
      expect(message).toMatch(/cannot be moved to fail\/: .*permission denied/)
      checkError(error, { type: PermissionError, cause: 'EACCES', says: advice })
    }
    expect(seen.reports.map(({ type }) => type).sort()).toEqual([
      'exhausted',
      'malformed',
      'unmovable',
      'unmovable',
    ])
  })
})

describe('one item', () => {
  test('that may not be read is reported once and left alone, and the loop goes on', async () => {
    interface Seen {
      readonly reports: SeenReport[]
      readonly drained: string[]
      readonly ids: string[]
      readonly later: string[]
    }
    const seen = await inNobody<Seen>(
      `
      const queue = await Queue.install('q', { root: given.root, onReport })
      const ids = await queue.enqueueMany([{ data: 'a' }, { data: 'b' }, { data: 'c' }])
      const secret = path.join(queue.path, 'queue', ids[1])
      fs.chmodSync(secret, 0)
      const drained = [...await drain(queue), ...await drain(queue)]
      fs.chmodSync(secret, 0o600)
      return { reports, drained, ids, later: await drain(queue) }`,
      { root: openRoot() },
    )
    const [first, secret = '', last] = seen.ids
    expect(seen.drained).toEqual([first, last])
    expect(seen.later).toEqual([secret])
    expect(seen.reports).toHaveLength(1)
    const [report] = seen.reports
    expect(report).toMatchObject({ type: 'unreadable', name: secret })
    expect(report?.message).toMatch(/^is left alone: Cannot open an item: permission denied/)
    checkError(report?.error, {
      type: PermissionError,
      cause: 'EACCES',
      syscall: 'openat',
      path: bed.path('root', 'q', 'queue', secret),
      says: advice,
    })
  })

  ifRoot('of another user, retried with a delay: it is due at once, which is reported', async () => {
    const queue = await bed.install({ queueMode: '0777' })
    fs.chmodSync(plant(queue, itemName(), 'x'), 0o644)
    interface Seen {
      readonly outcome: string
      readonly reports: SeenReport[]
      readonly again: number
    }
    const seen = await inNobody<Seen>(`
      const queue = open({ maxTries: 5 })
      const { value: item } = await queue.scan().next()
      const outcome = await item.retry({ delay: 3600_000 })
      let again = -1
      for await (const { tries } of queue.scan()) again = tries
      return { outcome, reports, again }`)
    expect(seen.outcome).toBe('waiting')
    expect(seen.again).toBe(1)
    expect(seen.reports.map(({ type, message }) => [type, message])).toEqual([
      ['undelayed', 'is due at once: only its owner may set its time'],
    ])
  })

  ifRoot(
    'of another user in a directory with the sticky bit cannot be moved: the claim is kept',
    async () => {
      const queue = await bed.install({ queueMode: '01777' })
      fs.chmodSync(plant(queue, itemName(), 'x'), 0o644)
      interface Seen {
        readonly error: ShownError
        readonly claimed: boolean
      }
      const seen = await inNobody<Seen>(`
      const queue = open()
      const { value: item } = await queue.scan().next()
      const error = await errorOf(() => item.done())
      const { claimed } = item
      await queue.close()
      return { error, claimed }`)
      expect(seen.error).toMatchObject({
        name: 'FinishError',
        code: 'ERR_FSQ_FINISH',
        cause: { code: 'EPERM' },
      })
      expect(seen.claimed).toBe(true)
      expect(contents(queue)).toEqual({ ...EMPTY, queue: [itemName()] })
    },
  )
})

describe('calls that only root may make', () => {
  test.each([
    ['itemUser', { itemUser: 0 }],
    ['itemGroup', { itemGroup: 0 }],
  ])('%s of another: nothing is added, and nothing left', async (_what, options) => {
    interface Seen {
      readonly errors: ShownError[]
      readonly listed: string[]
    }
    const seen = await inNobody<Seen>(
      `
      await Queue.install('q', { root: given.root })
      const queue = open(given.options)
      const errors = [
        await errorOf(() => queue.enqueue('x')),
        await errorOf(() => queue.enqueue(null)),
        await errorOf(() => queue.enqueueSync('x')),
      ]
      const listed = ['queue', 'tmp'].flatMap((place) => fs.readdirSync(path.join(queue.path, place)))
      return { errors, listed }`,
      { root: openRoot(), options },
    )
    for (const error of seen.errors) {
      checkError(error, {
        type: PermissionError,
        cause: 'EPERM',
        syscall: 'fchown',
        says: /Only root may give files away: leave FSQ_ITEM_USER unset/,
      })
    }
    expect(seen.listed).toEqual([])
  })

  test('queueUser of another: no queue, and nothing left', async () => {
    const root = openRoot()
    const error = await inNobody<ShownError>(
      `return errorOf(() => Queue.install('q', { root: given.root, queueUser: 0 }))`,
      { root },
    )
    checkError(error, {
      type: PermissionError,
      cause: 'EPERM',
      syscall: 'fchown',
      says: /Only root may give files away: leave FSQ_QUEUE_USER unset/,
    })
    expect(fs.readdirSync(root)).toEqual([])
  })
})

describe('FSQ_ROOT that may not be written to', () => {
  test('install: an error, and nothing left', async () => {
    const root = openRoot()
    const error = await inNobody<ShownError>(
      `
      if (given.own) fs.chmodSync(given.root, 0o555)
      return errorOf(() => Queue.install('q', { root: given.root }))`,
      { root: isRoot ? path.dirname(root) : root, own: !isRoot },
    )
    checkError(error, { type: PermissionError, cause: 'EACCES', syscall: 'mkdirat', says: advice })
    expect(path.basename(error.path ?? '')).toMatch(/^\.fsq-\w{6}$/)
    expect(fs.readdirSync(root)).toEqual([])
  })

  test('uninstall: an error, the queue stays as it was, and up', async () => {
    const root = openRoot()
    interface Seen {
      readonly error: ShownError
      readonly isDown: boolean
      readonly drained: string[]
      readonly id: string
      readonly listed: string[]
    }
    const seen = await inNobody<Seen>(
      `
      fs.mkdirSync(path.join(given.root, 'mine'))
      const root = path.join(given.root, 'mine')
      const queue = await Queue.install('q', { root })
      const id = await queue.enqueue('x')
      fs.chmodSync(root, 0o555)
      const error = await errorOf(() => queue.uninstall({ force: true }))
      const isDown = await queue.isDown()
      const drained = await drain(queue)
      const listed = fs.readdirSync(root)
      fs.chmodSync(root, 0o755)
      return { error, isDown, drained, id, listed }`,
      { root },
    )
    checkError(seen.error, { type: PermissionError, cause: 'EACCES', syscall: 'rename', says: advice })
    expect(seen).toMatchObject({ isDown: false, drained: [seen.id], listed: ['q'] })
  })
})

test('a payload that may not be read is named, and nothing is added', async () => {
  interface Seen {
    readonly error: ShownError
    readonly listed: string[]
  }
  const seen = await inNobody<Seen>(
    `
    const queue = await Queue.install('q', { root: given.root })
    const secret = path.join(given.root, 'secret')
    fs.writeFileSync(secret, 'x', { mode: 0 })
    const error = await errorOf(() => queue.enqueue({ path: secret }))
    return { error, listed: ['queue', 'tmp'].flatMap((place) => fs.readdirSync(path.join(queue.path, place))) }`,
    { root: openRoot() },
  )
  checkError(seen.error, {
    type: PayloadError,
    cause: 'EACCES',
    path: bed.path('root', 'secret'),
    says: /cannot be read: .*It must be a regular file that this user may read/,
  })
  expect(seen.listed).toEqual([])
})

ifRoot(
  '`down` of another user keeps its owner, and up removes it where the queue is open to all',
  async () => {
    const queue = await bed.install({ queueMode: '0777' })
    await queue.down()
    interface Seen {
      readonly error: ShownError
      readonly before: boolean
      readonly after: boolean
    }
    const seen = await inNobody<Seen>(`
    const queue = open()
    const error = await errorOf(() => queue.down())
    const before = await queue.isDown()
    await queue.up()
    return { error, before, after: await queue.isDown() }`)
    checkError(seen.error, {
      type: PermissionError,
      cause: 'EACCES',
      path: bed.path('q', 'down'),
      says: advice,
    })
    expect(seen).toMatchObject({ before: true, after: false })
    expect(fs.existsSync(pathOf(queue, 'queue', ''))).toBe(true)
  },
)

ifRoot.each(['down', 'up', 'isDown', 'trigger'] as const)(
  '%s of a queue that is closed to others names what may not be looked at',
  async (call) => {
    await bed.install({ queueMode: '0700' })
    const error = await inNobody<ShownError>(`return errorOf(() => open().${call}())`)
    checkError(error, {
      type: PermissionError,
      cause: 'EACCES',
      syscall: 'lstat',
      path: bed.path('q', 'queue'),
      says: advice,
    })
  },
)

test('what Node forbids with --permission: says that it is Node, and what to allow', async () => {
  const queue = await bed.install()
  const down = await inProgram<ShownError>(
    `try { await new Queue('q', { root: given.root }).down() } catch (error) { return show(error) }`,
    {
      given: { root: bed.root },
      flags: [PERMISSION_FLAG, '--no-warnings', '--allow-addons', '--allow-fs-read=*'],
    },
  )
  expect(down).toMatchObject({
    name: 'PermissionError',
    message: expect.stringMatching(/\(EACCES, .*Node runs with --permission/),
  })
  expect(await queue.isDown()).toBe(false)
})
