import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { expect, jest, test } from '@jest/globals'

import { hostLayoutOf, layoutOf } from '../../src/directory/layout.js'
import { findDelivered } from '../../src/hosts/delivered.js'
import * as fsq from '../../src/index.js'
import type { Queue } from '../../src/index.js'
import {
  QueueDownError,
  QueueExistsError,
  QueueMissingError,
  QueueNameError,
  QueueNotEmptyError,
} from '../../src/index.js'
import { itemKey } from '../../src/name/item-name.js'
import { until } from '../support/child.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { onLinux } from '../support/needs.js'
import { errorOf, inProgram, useTestBed } from '../support/queue.js'

const bed = useTestBed()

const hostAt = (...parts: string[]): string => bed.path('q', 'hosts', ...parts)

async function failureOf(call: () => Promise<unknown>): Promise<Error> {
  return (await errorOf(call)) as Error
}

async function textsOf(queue: Queue): Promise<string[]> {
  const texts: string[] = []
  for await (const item of queue.scan()) {
    texts.push(await item.text())
    await item.done()
  }
  return texts
}

test('a host has a queue like any other', async () => {
  const queue = await bed.install()
  expect(await queue.hosts()).toEqual([])
  const host = await queue.addHost('h1')
  expect(host.path).toBe(hostAt('h1'))
  expect(await queue.hosts()).toEqual(['h1'])
  await host.enqueue('directly')
  await queue.enqueue('to all')
  expect(await queue.distribute()).toEqual({
    distributed: 1,
    left: 0,
    errors: new Map(),
    triggerError: undefined,
  })
  expect((await textsOf(host)).toSorted()).toEqual(['directly', 'to all'])
  expect(await host.counts()).toMatchObject({ done: 2, waiting: 0 })
  expect(await queue.counts()).toMatchObject({ done: 1, waiting: 0 })
  await host.close()
})

test('hosts are installed together with their queue, or not at all', async () => {
  const queue = await bed.install({ addHosts: ['h2', 'h1', 'h2'], triggered: true, claims: 'rename' })
  expect(await queue.hosts()).toEqual(['h1', 'h2'])
  for (const host of ['', 'hosts/h1/', 'hosts/h2/'])
    for (const part of ['queue', 'claimed', 'claims-rename', 'down'])
      expect(fs.existsSync(bed.path('q', host + part))).toBe(true)
  expect(fs.statSync(bed.path('q', 'hosts-trigger-s')).isFIFO()).toBe(true)
  const error = await failureOf(async () => bed.install({ addHosts: ['h1', 'a/b'] }, 'other'))
  expect(error).toBeInstanceOf(QueueNameError)
  const says = "'a/b' cannot be the name of a host: it has a '/'. Use a label such as 'berlin'"
  expect(String(error)).toContain(says)
  expect(String(await failureOf(async () => queue.addHost('a/b')))).toContain(says)
  expect(fs.existsSync(bed.path('other'))).toBe(false)
})

test('each directory of hosts is made durable when it has its entries', async () => {
  // The 10 directories when they are made; then those that got entries: hosts/ and hosts/h1.
  const [first, second] = await Promise.all(
    [11, 12].map(async (call) =>
      inProgram<string>(
        `return Queue.install('q', { root: given, addHosts: ['h1'] }).then(() => '', (error) => error.path)`,
        {
          given: bed.root,
          flags: ['--require', FAULT_BUILD],
          env: { FSQ_FAULTS: `install.fsync#${call}=errno:${os.constants.errno.EIO}` },
        },
      ),
    ),
  )
  expect([first, second].map((file) => file?.replace(/.*\.fsq-\w{6}/, ''))).toEqual(['/hosts', '/hosts/h1'])
  expect(fs.readdirSync(bed.root)).toEqual([])
})

test('many processes may add hosts at once, also the first ones', async () => {
  const queue = await bed.install()
  const names = Array.from({ length: 12 }, (_, index) => `h${String(index).padStart(2, '0')}`)
  const outcomes = await Promise.allSettled([...names, ...names].map(async (name) => queue.addHost(name)))
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(names.length)
  for (const outcome of outcomes)
    if (outcome.status === 'rejected') expect(outcome.reason).toBeInstanceOf(QueueExistsError)
  expect(await queue.hosts()).toEqual(names)
  expect(fs.readdirSync(hostAt()).toSorted()).toEqual(names)
})

test('a host is replaced as a whole, and removed only while nothing waits there', async () => {
  const queue = await bed.install({ addHosts: ['h1'] })
  const host = queue.host('h1')
  await host.enqueue('x')
  expect(await errorOf(async () => queue.removeHost('h1'))).toBeInstanceOf(QueueNotEmptyError)
  expect(await host.isDown()).toBe(false)
  expect(await errorOf(async () => queue.addHost('h1'))).toBeInstanceOf(QueueExistsError)
  await queue.addHost('h1', { force: true })
  expect(await host.counts()).toMatchObject({ waiting: 0 })
  await host.enqueue('y')
  await queue.removeHost('h1', { force: true })
  expect(await errorOf(async () => queue.removeHost('h1'))).toBeInstanceOf(QueueMissingError)
  expect(fs.readdirSync(hostAt())).toEqual([])
  await host.close()
})

test.each(['lock', 'rename'] as const)('a queue that is down stops its hosts: %s', async (claims) => {
  const queue = await bed.install({ addHosts: ['h1'], claims })
  const host = queue.host('h1')
  await host.enqueue('x')
  await queue.down()
  expect(await host.isDown()).toBe(true)
  expect(await fsq.hostIsDown('q', 'h1', { root: bed.root })).toBe(false)
  const error = await failureOf(async () => textsOf(host))
  expect(error).toBeInstanceOf(QueueDownError)
  expect(error.message).toContain(`The queue 'q' is down`)
  await queue.up()
  await host.down()
  expect((await failureOf(async () => textsOf(host))).message).toContain(
    `The host 'h1' of the queue 'q' is down`,
  )
  await host.up()
  expect(await textsOf(host)).toEqual(['x'])
  await host.close()
})

test('a loop that waits at a host ends as soon as the queue goes down, without another item', async () => {
  const queue = await bed.install({ addHosts: ['h1'] })
  const host = queue.host('h1')
  let isAsleep = false
  const loop = host.scanForever()
  const ended = errorOf(async () => {
    for await (const item of loop) {
      isAsleep = true
      await item.done()
    }
  })
  await host.enqueue('x')
  await until('the first item is done', () => isAsleep)
  const begun = performance.now()
  await queue.down()
  expect(await ended).toBeInstanceOf(QueueDownError)
  // Looks come each 5 s; the watch tells at once.
  expect(performance.now() - begun).toBeLessThan(4000)
  await host.close()
})

test('a pull of the trigger that the hosts share reaches the loops of all of them', async () => {
  const queue = await bed.install({ addHosts: ['h1', 'h2'], triggered: true })
  await fsq.hostTriggerPull('q', { root: bed.root, ignoreListener: true })
  const hosts = ['h1', 'h2'].map((name) => queue.host(name))
  const stop = new AbortController()
  const loops = hosts.map(async (host) =>
    errorOf(async () => {
      for await (const item of host.scanForever({ signal: stop.signal })) await item.done()
    }),
  )
  // With a listener, a pull is no error.
  let isHeard = false
  await until('a loop listens', () => {
    void fsq.hostTriggerPull('q', { root: bed.root }).then(
      () => (isHeard = true),
      () => undefined,
    )
    return isHeard
  })
  stop.abort(new Error('enough'))
  await Promise.all(loops)
  for (const host of hosts) await host.close()
})

test('hidden names and files among the hosts are no hosts', async () => {
  const queue = await bed.install({ addHosts: ['h1'] })
  fs.mkdirSync(hostAt('.h1Ab_9xZ'))
  fs.writeFileSync(hostAt('file'), '')
  expect(await queue.hosts()).toEqual(['h1'])
  await queue.enqueue('x')
  expect(await queue.distribute()).toMatchObject({ distributed: 1, left: 0 })
  const findings = []
  for await (const finding of queue.audit()) findings.push([path.basename(finding.path), finding.kind])
  expect(findings.toSorted()).toEqual([
    ['.h1Ab_9xZ', 'half-installed'],
    ['file', 'foreign'],
  ])
})

test('a link whose target is missing is skipped, and told', async () => {
  const queue = await bed.install({ addHosts: ['h1'] })
  fs.symlinkSync('nowhere', hostAt('link'))
  const skipped: string[] = []
  await queue.distributeFor({}, { onSkipped: (file) => skipped.push(file) })
  expect(skipped).toEqual([hostAt('link')])
})

test('a file among the hosts is not removed as a host, not even by force', async () => {
  const queue = await bed.install({ addHosts: ['h1', 'h2'] })
  fs.writeFileSync(hostAt('notes'), 'mine')
  fs.rmdirSync(hostAt('h1', 'tmp'))
  expect(await errorOf(async () => queue.removeHost('notes', { force: true }))).toBeInstanceOf(
    fsq.NotAQueueError,
  )
  await queue.removeHost('h1', { force: true })
  expect(fs.readdirSync(hostAt()).toSorted()).toEqual(['h2', 'notes'])
})

test('a directory among the hosts that has more than a queue is not removed, not even by force', async () => {
  const queue = await bed.install({ addHosts: ['h1', 'h2'], claims: 'rename' })
  fs.rmdirSync(hostAt('h1', 'done'))
  fs.mkdirSync(hostAt('backup', 'queue'), { recursive: true })
  fs.writeFileSync(hostAt('backup', 'thesis.tex'), 'mine')
  const error = await failureOf(async () => queue.removeHost('backup', { force: true }))
  expect(error).toBeInstanceOf(fsq.NotAQueueError)
  expect(error.message).toContain("'thesis.tex'")
  expect(fs.readFileSync(hostAt('backup', 'thesis.tex'), 'utf8')).toBe('mine')
  fs.symlinkSync(bed.path('elsewhere'), hostAt('link'))
  fs.mkdirSync(bed.path('elsewhere', 'home'), { recursive: true })
  expect(await failureOf(async () => queue.removeHost('link', { force: true }))).toBeInstanceOf(
    fsq.NotAQueueError,
  )
  expect(fs.existsSync(bed.path('elsewhere', 'home'))).toBe(true)
  // Broken hosts, with all that a queue may have, and an empty directory.
  fs.mkdirSync(hostAt('h1', 'received'))
  fs.mkdirSync(hostAt('empty'))
  await queue.removeHost('h1', { force: true })
  await queue.removeHost('empty', { force: true })
  expect(fs.readdirSync(hostAt()).toSorted()).toEqual(['backup', 'h2', 'link'])
})

test('an item that a host has under other tries, or has finished, is not given to it again', async () => {
  const queue = await bed.install({ addHosts: ['h1', 'h2', 'h3'], maxTries: 0 })
  const id = await queue.enqueue('x')
  const [h1, h2, h3] = ['h1', 'h2', 'h3'].map((name) => queue.host(name)) as [Queue, Queue, Queue]
  await queue.distribute({ keep: true, hosts: ['h1', 'h2'] })
  expect((await queue.counts()).waiting).toBe(1)
  for await (const item of h1.scan()) await item.retry()
  for await (const item of h2.scan()) {
    await item.retry()
  }
  for await (const item of h2.scan()) await item.done()
  expect(await queue.distribute()).toMatchObject({ distributed: 1, left: 0 })
  expect([await h1.counts(), await h2.counts(), await h3.counts()]).toMatchObject([
    { waiting: 1, done: 0 },
    { waiting: 0, done: 1 },
    { waiting: 1, done: 0 },
  ])
  expect((await queue.find(id))?.state).toBe('done')
  for (const host of [h1, h2, h3]) await host.close()
})

test('another item of the same name at a host is an error, and nothing is replaced', async () => {
  const queue = await bed.install({ addHosts: ['h1', 'h2'] })
  const id = await queue.enqueue('mine')
  fs.writeFileSync(hostAt('h1', 'queue', id), 'yours')
  const { left, errors } = await queue.distribute()
  expect(left).toBe(1)
  expect([...errors.keys()]).toEqual(['h1'])
  expect(fs.readFileSync(hostAt('h1', 'queue', id), 'utf8')).toBe('yours')
})

test('a host that cannot be looked at keeps the items in queue/, and the others get their copies', async () => {
  const queue = await bed.install({ addHosts: ['h1', 'h2'] })
  await queue.enqueue('x')
  fs.rmdirSync(hostAt('h1', 'done'))
  fs.symlinkSync('done', hostAt('h1', 'done'))
  for (const attempt of [1, 2]) {
    const { distributed, left, errors } = await queue.distribute()
    expect({ attempt, distributed, left }).toEqual({ attempt, distributed: 0, left: 1 })
    expect([...errors.keys()]).toEqual(['h1'])
    expect(errors.get('h1')?.code).toBe('ERR_FSQ_FILE_SYSTEM')
  }
  expect(fs.readdirSync(hostAt('h2', 'queue'))).toHaveLength(1)
})

test('an item that another worker gives back during the look is not given to its hosts again', async () => {
  const queue = await bed.install({ addHosts: ['h1'], claims: 'rename' })
  const id = await queue.enqueue('x')
  fs.writeFileSync(hostAt('h1', 'done', id), 'x')
  const waiting = bed.path('q', 'queue')
  const opendir = jest.spyOn(fs.promises, 'opendir')
  // The first look sees queue/ without the item, and claimed/ after it.
  opendir.mockImplementationOnce(async () => fs.promises.opendir(bed.path('q', 'tmp')))
  try {
    const { settings } = queue
    const layout = layoutOf('q', settings)
    const host = hostLayoutOf(layout, 'h1', settings)
    const delivered = await findDelivered(layout, [host], settings)
    expect(opendir.mock.calls[0]?.[0]).toBe(waiting)
    expect(delivered.get(host.path)).toEqual(new Map([[itemKey(id, '%'), false]]))
  } finally {
    opendir.mockRestore()
  }
})

test('a distribution that ends with an error keeps no item claimed', async () => {
  const queue = await bed.install({ addHosts: ['h1'] })
  await queue.enqueue('x')
  const claimed = bed.path('q', 'claimed')
  fs.symlinkSync('claimed', claimed)
  expect(await errorOf(async () => queue.distribute())).toBeInstanceOf(fsq.FileSystemError)
  fs.rmSync(claimed)
  expect(await queue.distribute()).toMatchObject({ distributed: 1, left: 0 })
})

test('without hosts, or with one that there is not, nothing moves', async () => {
  const queue = await bed.install()
  await queue.enqueue('x')
  expect(await errorOf(async () => queue.distribute())).toBeInstanceOf(QueueMissingError)
  await queue.addHost('h1')
  expect(await errorOf(async () => queue.distribute({ hosts: ['h1', 'h9'] }))).toBeInstanceOf(
    QueueMissingError,
  )
  expect(await queue.counts()).toMatchObject({ waiting: 1, done: 0 })
})

test.each([0, 5, 70_000, 3_000_000])(
  'contents of %d bytes arrive whole, as copies and as links',
  async (size) => {
    const queue = await bed.install({ addHosts: ['h1', 'h2'], durability: 'enqueue' })
    const contents = Buffer.alloc(size, 'fsq ')
    const copied = await queue.enqueue(contents)
    await queue.distribute()
    const linked = await queue.enqueue(contents)
    await queue.distribute({ link: true })
    for (const host of ['h1', 'h2'])
      for (const id of [copied, linked])
        expect(fs.readFileSync(hostAt(host, 'queue', id)).equals(contents)).toBe(true)
    expect(fs.statSync(hostAt('h1', 'queue', copied)).nlink).toBe(1)
    expect(fs.statSync(hostAt('h1', 'queue', linked)).nlink).toBe(3)
  },
)

onLinux.each(['lock', 'rename'] as const)(
  'a handle that is closed while a host gets a copy gives it the whole item, or nothing: %s',
  async (claims) => {
    const queue = await bed.install({ addHosts: ['h1'], claims, durability: 'none' })
    const contents = Buffer.alloc(100_000_000, 'A')
    const id = await queue.enqueue(contents)
    fs.writeFileSync(bed.path('other'), Buffer.alloc(contents.length, 'B'))
    const copying = { hasEnded: false }
    const ended = queue
      .distribute()
      .catch(() => undefined)
      .finally(() => (copying.hasEnded = true))
    const copy = bed.path('q', 'hosts', 'h1', 'tmp/')
    // Not by timers: on a busy machine the copy would be over before the next look. If it is, the item is whole.
    while (!copying.hasEnded && !openFiles().some((file) => file.startsWith(copy)))
      await new Promise((resolve) => setImmediate(resolve))
    const closed = queue.close()
    // A descriptor that is closed too early is one of these next.
    for (let count = 0; count < 30; count++) bed.descriptor(bed.path('other'))
    await Promise.all([ended, closed])
    const files = fs.readdirSync(hostAt('h1', 'queue'))
    for (const file of files) expect(fs.readFileSync(hostAt('h1', 'queue', file)).equals(contents)).toBe(true)
    const other = bed.open()
    await other.distribute()
    expect(fs.readFileSync(hostAt('h1', 'queue', id)).equals(contents)).toBe(true)
  },
)

function openFiles(): readonly string[] {
  return fs.readdirSync('/proc/self/fd').flatMap((descriptor) => {
    try {
      return [fs.readlinkSync(`/proc/self/fd/${descriptor}`)]
    } catch {
      return []
    }
  })
}

test.each(['none', 'enqueue', 'full'] as const)(
  'with durability %s, a file is as durable as a copy before it gets another name',
  async (durability) => {
    const queue = await bed.install({ addHosts: ['h1'], durability })
    const id = await queue.enqueue('x')
    const open = jest.spyOn(fs.promises, 'open')
    const link = jest.spyOn(fs.promises, 'link')
    try {
      expect(await queue.distribute({ link: true })).toMatchObject({ distributed: 1 })
      const opened = open.mock.calls.findIndex(([file]) => file.toString() === bed.path('q', 'queue', id))
      expect(opened >= 0).toBe(durability !== 'none')
      expect(link).toHaveBeenCalledTimes(1)
      const [before = 0] = link.mock.invocationCallOrder
      if (opened >= 0) expect(open.mock.invocationCallOrder[opened]).toBeLessThan(before)
    } finally {
      open.mockRestore()
      link.mockRestore()
    }
  },
)

test('a distribution that waits for another one ends when the handle is closed, or at its signal', async () => {
  const queue = await bed.install({ addHosts: ['h1'] })
  bed.lock(hostAt())
  const reason = new Error('enough')
  const stop = new AbortController()
  const waits = [
    errorOf(async () => queue.distribute({ signal: stop.signal })),
    errorOf(async () => queue.distribute()),
  ]
  // Until then, both have begun to wait.
  for (let count = 0; count < 10; count++) await queue.hosts()
  stop.abort(reason)
  expect(await waits[0]).toBe(reason)
  await queue.close()
  expect(await waits[1]).toBeInstanceOf(fsq.QueueClosedError)
})

test('two distributions at once give each host each item once', async () => {
  const queue = await bed.install({ addHosts: ['h1', 'h2'] })
  await queue.enqueueMany(Array.from({ length: 300 }, (_, index) => ({ data: String(index) })))
  const other = bed.open()
  const both = await Promise.all([queue.distribute(), other.distribute()])
  expect(both.reduce((sum, { distributed }) => sum + distributed, 0)).toBe(300)
  for (const host of ['h1', 'h2']) expect(fs.readdirSync(hostAt(host, 'queue'))).toHaveLength(300)
})

test('items are put into other queues under their names', async () => {
  const settings = { root: bed.root }
  const queue = await bed.install({ addHosts: ['h1', 'h2'] })
  await bed.install({}, 'q2')
  const id = await queue.enqueue('x', ['a'])
  const at = (name: string): string => bed.path(name, 'queue', id)
  expect(await fsq.vreenqueue(id, ['q2'], { srcQueue: 'q', link: true, ...settings })).toBe(id)
  expect(fs.statSync(at('q2')).ino).toBe(fs.statSync(at('q')).ino)
  fs.rmSync(at('q2'))
  for await (const item of queue.scan()) {
    expect(await errorOf(async () => fsq.vreenqueue(item, ['q2', 'nosuch'], settings))).toBeInstanceOf(
      QueueMissingError,
    )
    expect(fs.existsSync(at('q2'))).toBe(false)
    expect(await fsq.vreenqueue(item, ['q2', 'q'], settings)).toBe(id)
    expect(await fsq.vreenqueue(item, ['q'], { allHosts: true, ...settings })).toBe(id)
    expect(await fsq.vreenqueue(item, ['q'], { toHosts: ['h2'], ...settings })).toBe(id)
    item.release()
  }
  expect([fs.readFileSync(at('q2'), 'utf8'), await queue.hosts()]).toEqual(['x', ['h1', 'h2']])
  expect([fs.existsSync(hostAt('h1', 'queue', id)), fs.existsSync(hostAt('h2', 'queue', id))]).toEqual([
    true,
    true,
  ])
  const error = await failureOf(async () => fsq.vsreenqueue(id, 'dé', ['q2'], settings))
  expect(error.message).toContain('contents differ')
  fs.rmSync(at('q2'))
  expect(await fsq.vsreenqueue(id, 'dé', ['q2'], settings)).toBe(id)
  expect(fs.readFileSync(at('q2'), 'utf8')).toBe('dé')
})

test('an item that a worker holds is not put into its queue again', async () => {
  const settings = { root: bed.root }
  for (const claims of ['lock', 'rename'] as const) {
    const queue = await bed.install({ claims }, claims)
    const id = await queue.enqueue('x')
    for await (const item of queue.scan()) {
      for (const link of [false, true])
        expect(await fsq.vreenqueue(item, [claims], { link, ...settings })).toBe(id)
      const error = await failureOf(async () => fsq.vsreenqueue(id, 'other', [claims], settings))
      expect(error.message).toContain('contents differ')
      await item.done()
    }
    expect([claims, await queue.counts()]).toMatchObject([claims, { waiting: 0, done: 1 }])
  }
})

test.each<object>([{ allHosts: 'no' }, { link: 1 }, { toHosts: 'h1' }])(
  'an option of a wrong type puts an item nowhere: %j',
  async (wrong) => {
    const queue = await bed.install({ addHosts: ['h1'] })
    await bed.install({}, 'q2')
    const id = await queue.enqueue('x')
    const options = { srcQueue: 'q', root: bed.root, ...wrong }
    expect(await errorOf(async () => fsq.vreenqueue(id, ['q2'], options))).toBeInstanceOf(fsq.SettingError)
    expect(fs.readdirSync(bed.path('q2', 'queue'))).toEqual([])
  },
)

test.each<[unknown, unknown, string]>([
  [undefined, 'x', 'SettingError'],
  [5, 'x', 'SettingError'],
  ['_20120710213904_0_13044_mss_0_a', undefined, 'PayloadError'],
  ['_20120710213904_0_13044_mss_0_a', 5, 'PayloadError'],
  ['_20120710213904_0_13044_mss_0_a', [120], 'PayloadError'],
])('sreenqueue(%p, %p) says what is wrong', async (id, data, name) => {
  await bed.install()
  const call = async (): Promise<unknown> =>
    fsq.vsreenqueue(id as string, data as string, ['q'], { root: bed.root })
  expect(await errorOf(call)).toMatchObject({ name })
  expect(fs.readdirSync(bed.path('q', 'queue'))).toEqual([])
})

test('the functions of the first implementation', async () => {
  const settings = { root: bed.root }
  await bed.install()
  expect(await errorOf(async () => fsq.hosts('q', settings))).toBeInstanceOf(QueueMissingError)
  await fsq.installHost('q', ['h2', 'h1'], settings)
  await fsq.installHost('q', 'h3', { isDown: true, ...settings })
  expect(await fsq.hosts('q', settings)).toEqual(['h1', 'h2', 'h3'])
  expect([await fsq.hostIsDown('q', 'h1', settings), await fsq.hostIsDown('q', 'h3', settings)]).toEqual([
    false,
    true,
  ])
  await fsq.upHost('q', 'h3', settings)
  await fsq.downHost('q', ['h1'], settings)
  expect([await fsq.hostIsDown('q', 'h1', settings), await fsq.hostIsDown('q', 'h3', settings)]).toEqual([
    true,
    false,
  ])
  expect(await errorOf(async () => fsq.hostIsDown('q', 'h9', settings))).toBeInstanceOf(QueueMissingError)
  await fsq.uninstallHost('q', 'h3', settings)
  await fsq.hostTrigger('q', settings)
  expect(fs.statSync(bed.path('q', 'hosts-trigger-s')).mode & 0o777).toBe(0o640)
  await fsq.hostUntrigger('q', settings)
  await fsq.hostUntrigger('q', settings)
  expect(fs.readdirSync(bed.path('q')).includes('hosts-trigger-s')).toBe(false)
})
