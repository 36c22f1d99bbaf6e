import { Buffer } from 'node:buffer'
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'
import * as fsq from 'fsq'

import { ifManyFiles, onLinux } from '../support/needs.js'
import { checkError, contents, errorOf, inProgram, names, plant, useTestBed } from '../support/queue.js'

// The handles that the functions share outlive the directories, whose closing then takes its time on a busy disk.
const bed = useTestBed({ quick: true })
const PROJECT = path.resolve(import.meta.dirname, '../..')

beforeEach(() => {
  fsq.setConst('FSQ_ROOT', bed.root)
})

afterEach(() => {
  fsq.setConst('FSQ_ROOT', undefined)
  fsq.setConst('FSQ_MAX_TRIES', undefined)
})

async function idsOf(scan: AsyncIterable<fsq.WorkItem>): Promise<string[]> {
  const ids: string[] = []
  for await (const work of scan) {
    ids.push(work.id)
    await fsq.done(work)
  }
  return ids
}

/** The block of the README in which a text stands. */
function readmeBlock(text: string): string {
  const readme = fs.readFileSync(path.join(PROJECT, 'README.md'), 'utf8')
  const blocks = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, block]) => block ?? '')
  const found = blocks.filter((block) => block.includes(text))
  expect(found).toHaveLength(1)
  return found[0] ?? ''
}

test('the lines of the README work as they are written', () => {
  const program = readmeBlock('fsq.senqueue')
  const root = bed.path('root')
  fs.mkdirSync(root)
  const output = execFileSync(process.execPath, ['--input-type=module', '--eval', program], {
    cwd: PROJECT,
    env: { ...process.env, FSQ_ROOT: root },
    encoding: 'utf8',
  })
  expect(output).toBe('args to enqueue\nargs to enqueue\n')
  const done = path.join(root, 'b_queue', 'done')
  const texts = fs.readdirSync(done).map((name) => fs.readFileSync(path.join(done, name), 'utf8'))
  expect(texts.sort()).toEqual(['data', fs.readFileSync('/etc/hosts', 'utf8')].sort())
  expect(fs.readdirSync(path.join(root, 'b_queue', 'queue'))).toEqual([])
  expect(fs.existsSync(path.join(root, 'b_queue', 'down'))).toBe(false)
})

test('a queue from its installation to its end', async () => {
  await fsq.install('q')
  const id = await fsq.senqueue('q', 'data', 'a', 2)
  expect(names(bed.open(), 'queue')).toEqual([id])
  for await (const work of fsq.scan('q')) {
    expect([work.id, work.arguments, work.args]).toEqual([id, ['a', '2'], ['a', '2']])
    expect(await work.text()).toBe('data')
    await fsq.done(work)
  }
  await fsq.uninstall('q')
  expect(fs.readdirSync(bed.root)).toEqual([])
})

describe('enqueue', () => {
  beforeEach(async () => fsq.install('q'))

  const sources: readonly (readonly [string, (file: string) => fsq.FilePayload])[] = [
    ['path', (file) => file],
    ['URL', (file) => new URL(`file://${file}`)],
    ['payload', (file) => ({ path: file })],
    ['descriptor', (file) => bed.descriptor(file)],
    ['something with a descriptor', (file) => ({ fd: bed.descriptor(file) })],
    ['stream', (file) => fs.createReadStream(file)],
  ]

  test.each(sources)('takes a file as a %s', async (_name, sourceOf) => {
    const file = bed.path('file')
    fs.writeFileSync(file, 'from a file')
    const id = await fsq.enqueue('q', sourceOf(file), 'x')
    expect(fs.readFileSync(bed.path('q', 'queue', id), 'utf8')).toBe('from a file')
  })

  test('a file that is not there is no item', async () => {
    const error = await errorOf(async () => fsq.enqueue('q', bed.path('none'), 'x'))
    checkError(error, { type: fsq.PayloadError, cause: 'ENOENT', path: bed.path('none'), says: /none/ })
    expect(contents(bed.open())).toEqual({ queue: [], tmp: [], done: [], fail: [] })
  })

  test('without arguments', async () => {
    const id = await fsq.senqueue('q', 'x')
    expect((await bed.open().find(id))?.args).toEqual([])
  })

  test('the forms with a list take options', async () => {
    const file = bed.path('file')
    fs.writeFileSync(file, '')
    await fsq.vsenqueue('q', 'x', ['late'], { delay: 3_600_000 })
    await fsq.venqueue('q', file, ['later'], { delay: 3_600_000, itemMode: '0600' })
    const id = await fsq.vsenqueue('q', 'x', ['now'], { delimiter: '.' })
    expect(id).toMatch(/^\.\d{14}\..*\.now$/)
    expect(await idsOf(fsq.scan('q'))).toEqual([id])
    const modes = names(bed.open(), 'queue').map((name) => fs.statSync(bed.path('q', 'queue', name)).mode)
    expect(modes.map((mode) => (mode & 0o777).toString(8)).sort()).toEqual(['600', '640'])
  })

  test('an object is never an argument, and no options where there can be none', async () => {
    const options = { root: '/elsewhere' } as unknown as string
    expect(await errorOf(async () => fsq.senqueue('q', 'x', 'a', options))).toBeInstanceOf(fsq.EncodingError)
    expect(contents(bed.open()).queue).toEqual([])
  })
})

describe('an item', () => {
  beforeEach(async () => {
    await fsq.install('q')
    await fsq.senqueue('q', 'x')
  })

  const ends = [
    ['done', fsq.done, 'done'],
    ['success', fsq.success, 'done'],
    ['fail', fsq.fail, 'fail'],
    ['failPerm', fsq.failPerm, 'fail'],
    ['failTmp', fsq.failTmp, 'fail'],
    ['retry', fsq.retry, 'fail'],
  ] as const

  test.each(ends)('%s: its place after it, where it is tried once', async (_name, end, place) => {
    for await (const work of fsq.scan('q')) await end(work)
    expect(contents(bed.open())[place]).toHaveLength(1)
    expect(contents(bed.open()).queue).toEqual([])
  })

  test.each(ends)('%s takes nothing but an item', async (_name, end, _place) => {
    for (const nothing of [undefined, null, 'q', {}, { done: () => {} }]) {
      const error = await errorOf(async () => end(nothing as unknown as fsq.WorkItem))
      checkError(error, { type: fsq.SettingError, says: /expected an item that scan\(\) has handed out/ })
    }
  })

  test.each([fsq.failTmp, fsq.retry])('fails for now as often as FSQ_MAX_TRIES allows', async (failTmp) => {
    fsq.setConst('FSQ_MAX_TRIES', 2)
    const outcomes: string[] = []
    for (let round = 0; round < 3; round++) {
      for await (const work of fsq.scan('q')) outcomes.push(await failTmp(work))
    }
    expect(outcomes).toEqual(['waiting', 'failed'])
    expect(contents(bed.open()).fail[0]).toMatch(/_1$/)
  })

  test('waits for its next try', async () => {
    for await (const work of fsq.scan('q', { maxTries: 0 })) await fsq.retry(work, { delay: 3_600_000 })
    expect(contents(bed.open()).queue[0]).toMatch(/_1$/)
    expect(await idsOf(fsq.scan('q', { maxTries: 0 }))).toEqual([])
  })

  test('released by leaving the loop', async () => {
    for await (const work of fsq.scan('q')) {
      expect(work.claimed).toBe(true)
      break
    }
    expect(await idsOf(fsq.scan('q'))).toHaveLength(1)
  })
})

test('down, up, isDown', async () => {
  await fsq.install('q')
  expect(await fsq.isDown('q')).toBe(false)
  await fsq.down('q')
  expect(await fsq.isDown('q')).toBe(true)
  expect(await errorOf(async () => idsOf(fsq.scan('q')))).toBeInstanceOf(fsq.QueueDownError)
  await fsq.up('q')
  expect(await fsq.isDown('q')).toBe(false)
})

describe('the trigger', () => {
  const fifo = (): string => bed.path('q', 'trigger-s')

  beforeEach(async () => {
    await fsq.install('q')
    await fsq.trigger('q')
  })

  test('is made, pulled and removed', async () => {
    expect(fs.statSync(fifo()).isFIFO()).toBe(true)
    const error = await errorOf(async () => fsq.triggerPull('q'))
    checkError(error, { type: fsq.TriggerError, cause: 'ENXIO', says: /listen/ })
    await fsq.triggerPull('q', { ignoreListener: true })
    const listener = fs.openSync(fifo(), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
    await fsq.triggerPull('q')
    await fsq.vsenqueue('q', 'x', [], { trigger: true })
    await fsq.vsenqueue('q', 'x', [], { useTrigger: true })
    await fsq.vsenqueue('q', 'x', [], { trigger: false, useTrigger: true })
    expect(fs.readSync(listener, Buffer.alloc(9))).toBe(3)
    fs.closeSync(listener)
    await fsq.untrigger('q')
    expect(fs.existsSync(fifo())).toBe(false)
  })
})

test('a scan for ever has what comes', async () => {
  await fsq.install('q')
  const stop = new AbortController()
  const seen: string[] = []
  const error = await errorOf(async () => {
    const enqueued = [fsq.senqueue('q', 'x', 'first')]
    for await (const work of fsq.scanForever('q', { signal: stop.signal })) {
      seen.push(...work.arguments)
      await fsq.done(work)
      if (seen.length === 1) enqueued.push(fsq.senqueue('q', 'x', 'second'))
      else stop.abort(new Error('enough'))
    }
    await Promise.all(enqueued)
  })
  expect([seen, error]).toEqual([['first', 'second'], new Error('enough')])
})

describe('settings', () => {
  test('of one call', async () => {
    fs.mkdirSync(bed.path('other'))
    const root = bed.path('other')
    await fsq.install('q', { root, fail: 'failed' })
    const id = await fsq.vsenqueue('q', 'x', [], { root, fail: 'failed' })
    for await (const work of fsq.scan('q', { root, fail: 'failed', prefetch: 1 })) await fsq.fail(work)
    expect(fs.readdirSync(bed.path('other', 'q', 'failed'))).toEqual([id])
    await fsq.uninstall('q', { root, fail: 'failed', force: true })
    expect(fs.readdirSync(root)).toEqual([])
  })

  test('of the process, from one call to the next', async () => {
    await fsq.install('q')
    await fsq.senqueue('q', 'x')
    fsq.setConst('FSQ_ROOT', bed.path('other'))
    expect(await errorOf(async () => fsq.senqueue('q', 'x'))).toBeInstanceOf(fsq.QueueMissingError)
    fsq.setConst('FSQ_ROOT', bed.root)
    expect(await idsOf(fsq.scan('q'))).toHaveLength(1)
  })

  test('a relative root follows the working directory', async () => {
    const before = process.cwd()
    try {
      for (const place of ['one', 'two']) {
        fs.mkdirSync(bed.path(place))
        process.chdir(bed.path(place))
        await fsq.install('q', { root: '.' })
        await fsq.vsenqueue('q', 'x', [place], { root: '.' })
      }
    } finally {
      process.chdir(before)
    }
    for (const place of ['one', 'two']) {
      expect(fs.readdirSync(bed.path(place, 'q', 'queue'))).toEqual([expect.stringMatching(`_${place}$`)])
    }
  })

  const calls: readonly (readonly [string, (options: object) => unknown])[] = [
    ['install', async (options) => fsq.install('q', options)],
    ['uninstall', async (options) => fsq.uninstall('q', options)],
    ['venqueue', async (options) => fsq.venqueue('q', '/dev/null', [], options)],
    ['vsenqueue', async (options) => fsq.vsenqueue('q', 'x', [], options)],
    ['scan', async (options) => idsOf(fsq.scan('q', options))],
    ['down', async (options) => fsq.down('q', options)],
    ['up', async (options) => fsq.up('q', options)],
    ['isDown', async (options) => fsq.isDown('q', options)],
    ['scanForever', async (options) => idsOf(fsq.scanForever('q', options))],
    ['trigger', async (options) => fsq.trigger('q', options)],
    ['untrigger', async (options) => fsq.untrigger('q', options)],
    ['triggerPull', async (options) => fsq.triggerPull('q', options)],
    ['queues', async (options) => fsq.queues(options)],
  ]

  test.each(calls)('%s refuses options that it does not know', async (_name, call) => {
    const error = await errorOf(async () => call({ dellay: 1 }))
    checkError(error, { type: fsq.SettingError, says: /no option '?dellay/ })
    for (const options of [null, 5] as unknown as object[]) {
      expect(await errorOf(async () => call(options))).toBeInstanceOf(fsq.SettingError)
    }
  })

  test.each([undefined, null, 5, {}])('the functions for hosts refuse %p as hosts', async (hosts) => {
    for (const call of [fsq.installHost, fsq.uninstallHost, fsq.downHost, fsq.upHost])
      expect(await errorOf(async () => call('q', hosts as never))).toBeInstanceOf(fsq.SettingError)
  })

  test.each(calls.slice(0, -1))('%s refuses what cannot be a queue', async (_name, call) => {
    const options = { root: bed.path('none') }
    expect(await errorOf(async () => call(options))).toBeInstanceOf(
      _name === 'venqueue' ? fsq.FsqError : fsq.QueueMissingError,
    )
  })

  test.each(['', 'a/b', '.hidden', 5 as unknown as string])('%p is no name', async (name) => {
    for (const call of [
      async () => fsq.install(name),
      async () => fsq.senqueue(name, 'x'),
      async () => idsOf(fsq.scan(name)),
      async () => fsq.down(name),
    ]) {
      expect(await errorOf(call)).toBeInstanceOf(fsq.QueueNameError)
    }
  })
})

// They take up to 64 * 5 descriptors.
ifManyFiles().describe('handles are shared', () => {
  test('calls in one tick go through in one batch, and in order', async () => {
    await fsq.install('q')
    const ids = await Promise.all(
      Array.from({ length: 300 }, async (_, index) => fsq.senqueue('q', 'x', index)),
    )
    expect(await idsOf(fsq.scan('q'))).toEqual(ids)
    if (fs.existsSync('/proc/self/fd')) {
      const open = fs.readdirSync('/proc/self/fd').flatMap((fd) => {
        try {
          return [fs.readlinkSync(`/proc/self/fd/${fd}`)]
        } catch {
          return []
        }
      })
      expect(open.filter((file) => file === bed.path('q', 'queue'))).toHaveLength(1)
    }
  })

  test('a queue that is installed anew is found by the next call', async () => {
    await fsq.install('q')
    await fsq.senqueue('q', 'x', 'old')
    await fsq.install('q', { force: true })
    const id = await fsq.senqueue('q', 'x', 'new')
    expect(await idsOf(fsq.scan('q'))).toEqual([id])
    await fsq.uninstall('q')
    expect(await errorOf(async () => fsq.senqueue('q', 'x'))).toBeInstanceOf(fsq.QueueMissingError)
  })

  test('an item outlives the handle that it was claimed through', async () => {
    await fsq.install('q')
    const id = await fsq.senqueue('q', 'x')
    for await (const work of fsq.scan('q')) {
      for (let other = 0; other < 70; other++) {
        await fsq.install(`q${other}`)
        await fsq.senqueue(`q${other}`, 'x')
      }
      await fsq.done(work)
    }
    expect(contents(bed.open()).done).toEqual([id])
    expect((await fsq.queues()).length).toBe(71)
  })

  onLinux('a program that goes round many queues keeps few of them open', async () => {
    const answer = await inProgram<
      Record<'enqueued' | 'together' | 'scannedTogether' | 'scanned' | 'done', number>
    >(
      `fsq.setConst('FSQ_ROOT', given.root)
      const open = () =>
        fs.readdirSync('/proc/self/fd').filter((fd) => {
          try {
            return fs.readlinkSync('/proc/self/fd/' + fd).startsWith(given.root)
          } catch {
            return false
          }
        }).length
      const names = Array.from({ length: 300 }, (_, index) => 'q' + index)
      for (const name of names) {
        await fsq.install(name)
        await fsq.senqueue(name, 'x')
      }
      const enqueued = open()
      // In use all at once, and closed afterwards.
      await Promise.all(names.slice(0, 80).map((name) => fsq.senqueue(name, 'y')))
      const together = open()
      for (let round = 0; round < 3; round++) {
        await Promise.all(
          names.slice(0, 80).map(async (name) => {
            for await (const work of fsq.scan(name)) await fsq.failTmp(work, {})
          }),
        )
        await new Promise(setImmediate)
      }
      const scannedTogether = open()
      await Promise.all(names.slice(0, 80).map((name) => fsq.senqueue(name, 'z')))
      let done = 0
      for (const name of names) {
        for await (const work of fsq.scan(name)) {
          await fsq.done(work)
          done++
        }
      }
      return { enqueued, together, scannedTogether, scanned: open(), done }`,
      // With the handles of all of them there would not be enough.
      { given: { root: bed.root }, shell: 'ulimit -n 1000' },
    )
    expect(answer.done).toBe(300)
    expect(answer.scannedTogether).toBeLessThanOrEqual(64 * 5)
    expect(answer.together).toBeLessThanOrEqual(64 * 5)
    expect(answer.enqueued).toBeLessThanOrEqual(64 * 5)
    expect(answer.scanned).toBeLessThanOrEqual(64 * 5)
  })

  test('calls in flight keep a handle open, however many others there are', async () => {
    await fsq.install('q', { force: true })
    const first = await fsq.senqueue('q', 'x', 'first')
    const second = await fsq.senqueue('q', 'x', 'second')
    let goOn = (): void => undefined
    async function* slow(): AsyncGenerator<string> {
      yield 'begun'
      await new Promise<void>((resolve) => {
        goOn = resolve
      })
    }
    const loop = fsq.scan('q')
    const one = (await loop.next()).value as fsq.WorkItem
    const enqueued = fsq.senqueue('q', slow(), 'slow')
    const unstarted = fsq.scan('q')
    for (let other = 0; other < 70; other++) {
      await fsq.install(`q${other}`)
      await fsq.senqueue(`q${other}`, 'x')
    }
    goOn()
    const third = await enqueued
    const two = (await loop.next()).value as fsq.WorkItem
    expect([one.id, two.id]).toEqual([first, second])
    expect((await loop.next()).done).toBe(true)
    // Still claimed, so not for the other loop.
    expect(await idsOf(unstarted)).toEqual([third])
    await fsq.done(one)
    await fsq.done(two)
    expect(contents(bed.open()).done.sort()).toEqual([first, second, third].sort())
  })

  test('a scan of one does not disturb the uninstallation of another', async () => {
    await fsq.install('q')
    await fsq.install('r')
    await fsq.senqueue('q', 'x')
    for await (const work of fsq.scan('q')) {
      await fsq.uninstall('r')
      await fsq.done(work)
    }
    expect(contents(bed.open()).done).toHaveLength(1)
  })
})

test('items that the first implementation left are worked off', async () => {
  await fsq.install('a_queue')
  const queue = bed.open({}, 'a_queue')
  plant(queue, '_20120710213904_0_13044_mss_0_args_to_enqueue', 'data')
  for await (const work of fsq.scan('a_queue')) {
    expect(work.arguments.join(' ')).toBe('args to enqueue')
    await fsq.done(work)
  }
  expect(contents(queue).done).toHaveLength(1)
})
