import { Buffer } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import fsp from 'node:fs/promises'
import path from 'node:path'

import { describe, expect, jest, test } from '@jest/globals'

import {
  FileSystemError,
  ItemGoneError,
  NotAQueueError,
  NotDurableError,
  QueueClosedError,
  QueueDownError,
  QueueExistsError,
  QueueMissingError,
  QueueNameError,
  QueueNotEmptyError,
  SettingError,
} from '../../src/errors/classes.js'
import type { WorkItem } from '../../src/item/work-item.js'
import { Queue, type QueueOptions } from '../../src/queue.js'
import { ifRoot, isRoot } from '../support/needs.js'
import {
  EMPTY,
  NOBODY,
  type ShownError,
  checkError,
  contents,
  drain,
  errorOf,
  inProgram,
  names,
  plant,
  takeOne,
  useTestBed,
} from '../support/queue.js'

const bed = useTestBed()
const DIRECTORIES = ['done', 'fail', 'queue', 'tmp']

/** All that there is, and what kind of thing it is: to see that nothing has changed. */
function tree(directory: string): Record<string, unknown> {
  return Object.fromEntries(
    fs.readdirSync(directory, { withFileTypes: true }).map((entry): [string, unknown] => {
      const file = path.join(directory, entry.name)
      if (entry.isDirectory()) return [entry.name, tree(file)]
      if (entry.isSymbolicLink()) return [entry.name, `-> ${fs.readlinkSync(file)}`]
      return [entry.name, entry.isFile() ? fs.readFileSync(file, 'utf8') : 'special']
    }),
  )
}

const modes = (queue: Queue): number[] =>
  ['', ...Object.values(queueDirectories(queue))].map(
    (name) => fs.statSync(path.join(queue.path, name)).mode & 0o7777,
  )

function queueDirectories({ settings: { queue, tmp, done, fail } }: Queue): Record<string, string> {
  return { queue, tmp, done, fail }
}

describe('install', () => {
  test('makes a queue, complete, and nothing besides', async () => {
    const queue = await bed.install()
    expect(queue).toBeInstanceOf(Queue)
    expect(queue).toMatchObject({ name: 'q', path: bed.path('q') })
    expect(tree(bed.root)).toEqual({ q: { queue: {}, tmp: {}, done: {}, fail: {} } })
    expect(modes(queue)).toEqual(Array<number>(5).fill(0o2770))
    const id = await queue.enqueue('x')
    expect(await drain(queue)).toEqual([id])
  })

  // What has the mode 0 only root can look into.
  test.each(['0700', '02750', '01777', 0o755, ...(isRoot ? ['0'] : [])])(
    'with FSQ_QUEUE_MODE %p',
    async (queueMode) => {
      const queue = await bed.install({ queueMode })
      expect(modes(queue)).toEqual(Array<number>(5).fill(queue.settings.queueMode))
    },
  )

  test.each([0o000, 0o077])('with the same modes under umask %i', async (umask) => {
    const body = `
      process.umask(given.umask)
      const queue = await Queue.install('q', { root: given.root })
      await queue.enqueue('x')
      return queue.path`
    expect(await inProgram(body, { given: { root: bed.root, umask } })).toBe(bed.path('q'))
    expect(modes(bed.open())).toEqual(Array<number>(5).fill(0o2770))
  })

  ifRoot('with owner and group, by ids and by names, and all bits of the mode', async () => {
    const queueUser = execFileSync('id', ['-un', String(NOBODY)], { encoding: 'utf8' }).trim()
    const queue = await bed.install({ queueUser, queueGroup: NOBODY, queueMode: '6775' })
    for (const name of ['', ...DIRECTORIES]) {
      const info = fs.statSync(path.join(queue.path, name))
      expect(info).toMatchObject({ uid: NOBODY, gid: NOBODY, mode: 0o46775 })
    }
  })

  test('for an owner that is nobody fails, and leaves nothing', async () => {
    const error = await errorOf(async () => bed.install({ queueUser: 'nobody-has-this-name' }))
    checkError(error, { type: SettingError, says: /FSQ_QUEUE_USER is 'nobody-has-this-name'.*Or give an id/ })
    expect(tree(bed.root)).toEqual({})
  })

  test('with other names for its parts', async () => {
    const queue = await bed.install({
      queue: 'in',
      tmp: 'work',
      done: 'fertig é',
      fail: '.bad',
      down: 'stop',
    })
    expect(tree(bed.root)).toEqual({ q: { in: {}, work: {}, 'fertig é': {}, '.bad': {} } })
    const id = await queue.enqueue('x')
    expect(names(queue, 'queue')).toEqual([id])
    plant(queue, 'malformed')
    await queue.down()
    expect(fs.existsSync(bed.path('q', 'stop'))).toBe(true)
    expect(await errorOf(async () => drain(queue))).toBeInstanceOf(QueueDownError)
    await queue.up()
    expect(await drain(queue)).toEqual([id])
    expect(tree(bed.root)).toEqual({
      q: { in: {}, work: {}, 'fertig é': { [id]: 'x' }, '.bad': { malformed: '' } },
    })
    await queue.uninstall()
    expect(tree(bed.root)).toEqual({})
  })

  test('over an empty directory', async () => {
    fs.mkdirSync(bed.path('q'), { mode: 0o700 })
    const queue = await bed.install()
    expect(modes(queue)).toEqual(Array<number>(5).fill(0o2770))
    expect(Object.keys(tree(bed.root))).toEqual(['q'])
  })

  test('of the same name many times at once: one wins', async () => {
    const results = await Promise.allSettled(Array.from({ length: 12 }, async () => bed.install()))
    const errors = results.flatMap((result) =>
      result.status === 'rejected' ? [result.reason as unknown] : [],
    )
    expect(errors).toHaveLength(11)
    for (const error of errors) expect(error).toBeInstanceOf(QueueExistsError)
    expect(tree(bed.root)).toEqual({ q: { queue: {}, tmp: {}, done: {}, fail: {} } })
  })

  test('many with force at once: all win, and one is left', async () => {
    await Promise.all(Array.from({ length: 12 }, async () => bed.install({ force: true })))
    expect(tree(bed.root)).toEqual({ q: { queue: {}, tmp: {}, done: {}, fail: {} } })
  })

  test.each(['a b', '-rf', 'x\ny', 'grüße', '😀', 'x'.repeat(255), 'é'.repeat(127), '~', 'queue'])(
    'under the name %j',
    async (name) => {
      const queue = await bed.install({}, name)
      expect(fs.readdirSync(bed.root)).toEqual([name])
      const id = await queue.enqueue('x')
      expect(await drain(queue)).toEqual([id])
      await queue.uninstall()
      expect(fs.readdirSync(bed.root)).toEqual([])
    },
  )

  const illegal: readonly (readonly [unknown, RegExp])[] = [
    ['', /it is empty/],
    ['.', /starts with '\.'/],
    ['..', /starts with '\.'/],
    ['.hidden', /kept for queues under installation or removal/],
    ['.fsq-abcdef', /kept for queues under installation or removal/],
    ['a/b', /has a '\/'/],
    ['/etc', /has a '\/'/],
    ['a/', /has a '\/'/],
    ['a\0b', /has a NUL/],
    ['x'.repeat(256), /256 bytes, and 255 are allowed/],
    ['é'.repeat(128), /256 bytes, and 255 are allowed/],
    ['a\ud800', /lone surrogate/],
    [undefined, /not a string/],
    [null, /not a string/],
    [5, /not a string/],
    [Buffer.from('q'), /not a string/],
  ]

  test.each(illegal)('under the name %j is refused', async (name, says) => {
    const all = new RegExp(
      `cannot be the name of a queue: .*${says.source}.*Use a name such as 'a_queue'`,
      's',
    )
    checkError(await errorOf(() => new Queue(name as string)), { type: QueueNameError, says: all })
    checkError(await errorOf(async () => Queue.install(name as string, { root: bed.root })), {
      type: QueueNameError,
      says: all,
    })
    expect(tree(bed.root)).toEqual({})
  })
})

describe('install finds something in the way', () => {
  const inTheWay: readonly (readonly [string, 'ENOTEMPTY' | 'ENOTDIR', (file: string) => void])[] = [
    ['a file', 'ENOTDIR', (file) => fs.writeFileSync(file, 'precious')],
    ['a link to nowhere', 'ENOTDIR', (file) => fs.symlinkSync('nowhere', file)],
    ['a link to a directory', 'ENOTDIR', (file) => fs.symlinkSync('.', file)],
    ['a FIFO', 'ENOTDIR', (file) => void execFileSync('mkfifo', [file])],
    [
      'a directory of something else',
      'ENOTEMPTY',
      (file) => fs.cpSync(path.join(import.meta.dirname, '../support'), file, { recursive: true }),
    ],
  ]

  test.each(inTheWay)('%s: it stays as it is', async (_what, cause, make) => {
    make(bed.path('q'))
    const before = tree(bed.root)
    const error = await errorOf(async () => bed.install())
    checkError(error, {
      type: QueueExistsError,
      cause,
      syscall: 'rename',
      says: /exists in .*Use it with new Queue\('q'\), or replace it|in the way of the queue 'q'.*Move it away, or choose another name/,
    })
    expect((error as NodeJS.ErrnoException & { dest: string }).dest).toBe(bed.path('q'))
    expect(tree(bed.root)).toEqual(before)
  })

  test.each(inTheWay)('%s: force does not replace it either', async (_what, _cause, make) => {
    make(bed.path('q'))
    const before = tree(bed.root)
    const error = await errorOf(async () => bed.install({ force: true }))
    expect([QueueExistsError.code, NotAQueueError.code]).toContain((error as QueueExistsError).code)
    expect((error as Error).message).toMatch(/Move it (away|out of the way), or choose another name/)
    expect(tree(bed.root)).toEqual(before)
  })

  test.each(DIRECTORIES)(
    'a directory that lacks %s/ is no queue, and force does not replace it',
    async (missing) => {
      const queue = await bed.install()
      await queue.enqueue('precious')
      fs.renameSync(bed.path('q', missing), bed.path('q', `${missing}.old`))
      const before = tree(bed.root)
      const error = await errorOf(async () => bed.install({ force: true }))
      checkError(error, {
        type: NotAQueueError,
        says: /is not a queue, so it is not replaced\. Move it out of the way/,
      })
      expect(tree(bed.root)).toEqual(before)
    },
  )

  test('a queue: its items stay', async () => {
    const queue = await bed.install()
    const id = await queue.enqueue('precious')
    const error = await errorOf(async () => bed.install())
    checkError(error, {
      type: QueueExistsError,
      cause: 'ENOTEMPTY',
      says: /The queue 'q' exists.*with the option force/,
    })
    expect(tree(bed.root)).toEqual({ q: { queue: { [id]: 'precious' }, tmp: {}, done: {}, fail: {} } })
  })

  test('a queue, and force replaces it, with all that was in it', async () => {
    const old = await bed.install({ queueMode: '0755' })
    await old.enqueueMany([{ data: 'a' }, { data: 'b' }])
    for await (const item of old.scan()) {
      await item.done()
      break
    }
    await old.down()
    const queue = await bed.install({ force: true })
    expect(tree(bed.root)).toEqual({ q: { queue: {}, tmp: {}, done: {}, fail: {} } })
    expect(modes(queue)).toEqual(Array<number>(5).fill(0o2770))
    expect(await queue.isDown()).toBe(false)
  })

  test('force where there is nothing installs', async () => {
    const queue = await bed.install({ force: true })
    expect(contents(queue)).toEqual(EMPTY)
  })
})

describe('FSQ_ROOT', () => {
  test('that is missing', async () => {
    const root = bed.path('missing')
    const error = await errorOf(async () => bed.install({ root }))
    checkError(error, {
      type: QueueMissingError,
      cause: 'ENOENT',
      syscall: 'open',
      path: root,
      says: /The directory for queues, .*\/missing \(FSQ_ROOT\), does not exist\. Make it, or set the option 'root'/,
    })
    expect(fs.existsSync(root)).toBe(false)
  })

  test('that is a file', async () => {
    const root = bed.path('file')
    fs.writeFileSync(root, 'precious')
    const error = await errorOf(async () => bed.install({ root }))
    checkError(error, { type: FileSystemError, cause: 'ENOTDIR', path: root, says: /not a directory/ })
    expect(fs.readFileSync(root, 'utf8')).toBe('precious')
  })

  test('that is a link to a directory', async () => {
    fs.mkdirSync(bed.path('real'))
    fs.symlinkSync('real', bed.path('link'))
    const queue = await bed.install({ root: bed.path('link') })
    expect(fs.existsSync(bed.path('real', 'q', 'queue'))).toBe(true)
    expect(await queue.counts()).toMatchObject({ waiting: 0 })
  })
})

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
        flags: ['--require', path.join(import.meta.dirname, '../support/fault-build.cjs')],
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

describe('installed anew under an open handle', () => {
  const ways: readonly (readonly [string, (options?: QueueOptions) => Promise<void>])[] = [
    [
      'uninstalled and installed',
      async () => {
        await bed.open().uninstall({ force: true })
        await bed.install()
      },
    ],
    [
      'replaced by force',
      async () => {
        await bed.install({ force: true })
      },
    ],
    [
      'moved away and installed',
      async () => {
        fs.renameSync(bed.path('q'), bed.path('old'))
        await bed.install()
      },
    ],
    [
      'a link that leads to another queue now',
      async () => {
        fs.renameSync(bed.path('q'), bed.path('old'))
        await bed.install({}, 'new')
        fs.symlinkSync('new', bed.path('q'))
      },
    ],
  ]

  async function used(): Promise<Queue> {
    const queue = await bed.install()
    const [item] = [await queue.enqueueMany([{ data: 'old' }, { data: 'old' }]), await takeOne(queue)].slice(
      1,
    )
    if (item !== undefined && 'done' in item) await item.done()
    await queue.counts()
    return queue
  }

  test('again and again: at most one more than is in use is open', async () => {
    const answer = await inProgram<Record<string, number>>(
      `const queue = new Queue('q', { root: given.root })
      const descriptors = () => fs.readdirSync('/dev/fd').length
      const uses = {
        enqueueSync: () => queue.enqueueSync('x'),
        enqueue: () => queue.enqueue('x'),
        scan: async () => {
          queue.enqueueSync('x')
          for await (const item of queue.scan()) await item.done()
        },
        counts: () => queue.counts(),
      }
      await Queue.install('q', { root: given.root })
      await uses.scan()
      const loop = queue.scanForever()
      queue.enqueueSync('claimed')
      const { value: claimed } = await loop.next()
      const before = descriptors()
      const open = {}
      for (const [name, use] of Object.entries(uses)) {
        for (let time = 0; time < 60; time++) {
          fs.renameSync(given.root + '/q', given.root + '/old' + name + time)
          await Queue.install('q', { root: given.root }).then((other) => other.close())
          await use()
        }
        open[name] = descriptors() - before
      }
      // One that was claimed long ago is finished where it was claimed.
      await claimed.done()
      open.finished = fs.readdirSync(given.root + '/oldenqueueSync0/done').length - 1
      queue.enqueueSync('new')
      const { value } = await loop.next()
      open.new = (await value.text()) === 'new' ? 0 : 1
      await value.done()
      await loop.return()
      await queue.close()
      return open`,
      { given: { root: bed.root }, shell: 'ulimit -n 100' },
    )
    // A queue has five. That of the item is in use all along, that of the last call is, and one more may be.
    for (const count of Object.values(answer)) expect(count).toBeLessThanOrEqual(10)
    expect(answer).toMatchObject({ finished: 1, new: 0 })
  })

  describe.each(ways)('%s', (_how, again) => {
    test.each([
      ['enqueue', async (queue: Queue) => queue.enqueue('new')],
      ['enqueue of nothing', async (queue: Queue) => queue.enqueue(null)],
      ['enqueueSync', async (queue: Queue) => queue.enqueueSync('new')],
      ['enqueueMany', async (queue: Queue) => (await queue.enqueueMany([{ data: 'new' }]))[0] ?? ''],
    ])('%s goes to the new one', async (_what, enqueue) => {
      const queue = await used()
      await again()
      const ids = [await enqueue(queue), await enqueue(queue)]
      expect(contents(bed.open())).toEqual({ ...EMPTY, queue: [...ids].sort() })
    })

    test('enqueues at the same time do, all of them', async () => {
      const queue = await used()
      await again()
      const ids = await Promise.all(Array.from({ length: 300 }, async () => queue.enqueue('new')))
      expect(contents(bed.open())).toEqual({ ...EMPTY, queue: [...ids].sort() })
    })

    test('scan works the new one', async () => {
      const queue = await used()
      await again()
      const id = await bed.open().enqueue('new')
      expect(await drain(queue)).toEqual([id])
      expect(contents(bed.open())).toEqual({ ...EMPTY, done: [id] })
    })

    test('lists, finds and counts the new one', async () => {
      const queue = await used()
      await again()
      const anew = bed.open()
      expect(await queue.counts()).toEqual({ waiting: 0, done: 0, failed: 0, tmp: 0 })
      const id = await anew.enqueue('new')
      plant(anew, id, 'new', 'done')
      plant(anew, id, 'new', 'fail')
      for (const state of ['waiting', 'done', 'failed'] as const) {
        const ids = []
        for await (const item of queue.items({ state })) ids.push(item.id)
        expect(ids).toEqual([id])
      }
      expect((await queue.find(id))?.state).toBe('waiting')
      expect(await queue.counts()).toEqual({ waiting: 1, done: 1, failed: 1, tmp: 0 })
    })
  })

  test('an item claimed before has gone with the old one', async () => {
    const queue = await bed.install()
    await queue.enqueue('old')
    const item = await takeOne(queue)
    await bed.install({ force: true })
    const id = await queue.enqueue('new')
    checkError(await errorOf(async () => item.done()), {
      type: ItemGoneError,
      cause: 'ESTALE',
      says: /somebody else has moved or removed/,
    })
    expect(contents(bed.open())).toEqual({ ...EMPTY, queue: [id] })
    expect(await drain(queue)).toEqual([id])
  })

  test('items of both are finished in one tick, each in its own', async () => {
    const queue = await bed.install()
    const old = await queue.enqueue('old')
    const items = [await takeOne(queue)]
    fs.renameSync(bed.path('q'), bed.path('old'))
    await bed.install()
    const anew = await queue.enqueue('new')
    items.push(await takeOne(queue))
    await Promise.all(items.map(async (item) => item.done()))
    expect(tree(bed.root)).toEqual({
      old: { queue: {}, tmp: {}, done: { [old]: 'old' }, fail: {} },
      q: { queue: {}, tmp: {}, done: { [anew]: 'new' }, fail: {} },
    })
  })

  test('and gone for good is an error', async () => {
    const queue = await bed.install()
    await queue.enqueue('x')
    await bed.open().uninstall({ force: true })
    const isMissing = {
      type: QueueMissingError,
      cause: 'ENOENT',
      path: bed.path('q'),
      says: /Install it with Queue\.install/,
    } as const
    checkError(await errorOf(async () => queue.enqueue('x')), isMissing)
    checkError(await errorOf(() => queue.enqueueSync('x')), isMissing)
    checkError(await errorOf(async () => drain(queue)), isMissing)
    checkError(await errorOf(async () => queue.counts()), isMissing)
    // Once it is back, the handle is good again.
    await bed.install()
    const id = await queue.enqueue('x')
    expect(await drain(queue)).toEqual([id])
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

test.each([1, 'false', null])('force: %p is refused, and nothing is touched', async (force) => {
  const queue = await bed.install()
  await queue.enqueue('x')
  const options = { force } as unknown as { force: boolean }
  for (const call of [async () => bed.install(options), async () => queue.uninstall(options)]) {
    checkError(await errorOf(call), {
      type: SettingError,
      says: /force is .*true or false/,
    })
  }
  expect(await queue.counts()).toMatchObject({ waiting: 1 })
  expect(await queue.isDown()).toBe(false)
})

test('options that are no object are refused', async () => {
  const error = await errorOf(async () => Queue.install('q', null as unknown as QueueOptions))
  checkError(error, { type: SettingError, says: /options is null, expected an object of settings/ })
})
