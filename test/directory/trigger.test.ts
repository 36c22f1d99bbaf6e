import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import process from 'node:process'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import {
  NotAQueueError,
  PermissionError,
  QueueMissingError,
  SettingError,
  TriggerError,
} from '../../src/errors/classes.js'
import { native } from '../../src/addon/native.js'
import type { Queue } from '../../src/queue.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { checkError, errorOf, inProgram, names, until, useTestBed } from '../support/queue.js'

const bed = useTestBed()
const fifo = (): string => bed.path('q', 'trigger-s')

afterEach(() => {
  jest.restoreAllMocks()
})

/** Opens the FIFO as a listener of any language would, until the end of the test. */
function listen(): { read: () => number[] } {
  const descriptor = fs.openSync(fifo(), fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  listeners.push(descriptor)
  return {
    read: () => {
      const buffer = Buffer.alloc(65_536)
      try {
        return [...buffer.subarray(0, fs.readSync(descriptor, buffer))]
      } catch {
        return []
      }
    },
  }
}

const listeners: number[] = []
afterEach(() => {
  for (const descriptor of listeners.splice(0)) fs.closeSync(descriptor)
})

const planted: readonly (readonly [string, () => void])[] = [
  ['a file', () => fs.writeFileSync(fifo(), 'precious')],
  ['a directory', () => fs.mkdirSync(fifo())],
  [
    'a link to a file',
    () => {
      fs.writeFileSync(bed.path('precious'), 'precious', { mode: 0o600 })
      fs.symlinkSync(bed.path('precious'), fifo())
    },
  ],
  ['a link to nowhere', () => fs.symlinkSync('nowhere', fifo())],
]

describe('trigger', () => {
  test('makes a FIFO, whatever the umask', async () => {
    const queue = await bed.install()
    const before = process.umask(0o077)
    try {
      await queue.trigger()
    } finally {
      process.umask(before)
    }
    const info = fs.lstatSync(fifo())
    expect(info.isFIFO()).toBe(true)
    expect(info.mode & 0o7777).toBe(0o640)
  })

  test('of other settings', async () => {
    const queue = await bed.install({ itemMode: 0o660, trigger: 'bell' })
    await queue.trigger()
    const info = fs.lstatSync(bed.path('q', 'bell'))
    expect(info.isFIFO()).toBe(true)
    expect(info.mode & 0o7777).toBe(0o660)
  })

  test('that is there already stays, and gets its mode', async () => {
    const queue = await bed.install()
    await queue.trigger()
    const { ino } = fs.lstatSync(fifo())
    fs.chmodSync(fifo(), 0o600)
    await queue.trigger()
    const info = fs.lstatSync(fifo())
    expect([info.ino, info.mode & 0o7777]).toEqual([ino, 0o640])
  })

  test('has the mode of items, also from an installation; only the one of hosts has that of the queue there', async () => {
    const queue = await bed.install({ triggered: true, addHosts: ['h1'], itemMode: 0o660 })
    const modeOf = (name: string): number => fs.lstatSync(bed.path('q', name)).mode & 0o7777
    expect([modeOf('trigger-s'), modeOf('hosts-trigger-s')]).toEqual([0o660, 0o2770])
    await queue.trigger()
    await queue.host('h1').trigger()
    expect([modeOf('trigger-s'), modeOf('hosts-trigger-s')]).toEqual([0o660, 0o660])
  })

  test.each(planted)('leaves %s alone', async (_what, make) => {
    const queue = await bed.install()
    make()
    const calls = [
      async () => queue.trigger(),
      async () => queue.untrigger(),
      async () => queue.triggerPull(),
      async () => queue.triggerPull({ ignoreListener: true }),
    ]
    for (const call of calls) {
      checkError(await errorOf(call), {
        type: TriggerError,
        says: /is not a FIFO with a single name.*Remove it/,
      })
    }
    expect(fs.lstatSync(fifo()).isFIFO()).toBe(false)
    if (fs.existsSync(bed.path('precious'))) {
      expect(fs.readFileSync(bed.path('precious'), 'utf8')).toBe('precious')
      expect(fs.statSync(bed.path('precious')).mode & 0o777).toBe(0o600)
    }
  })

  test('leaves a FIFO of two names alone', async () => {
    const queue = await bed.install()
    expect(native.makeFifoSync(bed.path('precious'), 0o600)).toBeUndefined()
    fs.linkSync(bed.path('precious'), fifo())
    checkError(await errorOf(async () => queue.trigger()), {
      type: TriggerError,
      says: /FIFO with a single name/,
    })
    const listener = listen()
    checkError(await errorOf(async () => queue.triggerPull()), {
      type: TriggerError,
      says: /FIFO with a single name/,
    })
    expect(listener.read()).toEqual([])
    expect(fs.statSync(bed.path('precious')).mode & 0o777).toBe(0o600)
  })

  test.each([
    ['trigger', async (queue: Queue) => queue.trigger()],
    ['untrigger', async (queue: Queue) => queue.untrigger()],
    ['triggerPull', async (queue: Queue) => queue.triggerPull()],
  ])('%s of a missing queue, and of what is none', async (_what, call) => {
    checkError(await errorOf(async () => call(bed.open())), { type: QueueMissingError, says: /Install it/ })
    fs.writeFileSync(bed.path('q'), '')
    checkError(await errorOf(async () => call(bed.open())), { type: NotAQueueError, says: /is not a queue/ })
  })

  test('one that may not be made is an error that says so, and leaves nothing', async () => {
    await bed.install()
    fs.chmodSync(bed.path('q'), 0o755)
    const answer = await inProgram<{ code: string }>(
      `return errorOf(() => new Queue('q', { root: given.root }).trigger())`,
      { given: { root: bed.root }, nobody: true },
    )
    if (process.getuid?.() === 0) expect(answer.code).toBe(PermissionError.code)
    expect(fs.existsSync(fifo())).toBe(process.getuid?.() !== 0)
  })
})

test.each([
  ['trigger.mkfifo=errno:28', 'ERR_FSQ_DISK_FULL', 0],
  ['trigger.mkfifo=errno:13', 'ERR_FSQ_PERMISSION', 0],
  ['trigger.open=errno:13', 'none', 1],
  ['trigger.mkfifo#1=errno:4', 'none', 0],
  ['trigger.mkfifo#1=errno-after:4', 'none', 0],
  ['trigger.open#1=errno:4', 'none', 0],
])('%s: an error, or a report of a loop that goes on', async (faults, code, reports) => {
  const answer = await inProgram(
    `const reports = []
    const queue = await Queue.install('q', { root: given.root, onReport: ({ type }) => reports.push(type) })
    const { code } = await errorOf(() => queue.trigger())
    await queue.enqueue('x')
    for await (const item of queue.scanForever()) {
      await item.done()
      break
    }
    return { code, reports: reports.length, types: reports.filter((type) => type !== 'trigger') }`,
    {
      given: { root: bed.root },
      flags: ['--require', FAULT_BUILD],
      env: { FSQ_FAULTS: faults },
    },
  )
  expect(answer).toEqual({ code, reports, types: [] })
})

test('untrigger removes it; nothing happens if it is not there', async () => {
  const queue = await bed.install()
  await queue.untrigger()
  await queue.trigger()
  await queue.untrigger()
  expect(fs.existsSync(fifo())).toBe(false)
})

describe('triggerPull', () => {
  test('writes one NUL', async () => {
    const queue = await bed.install()
    await queue.trigger()
    const listener = listen()
    await queue.triggerPull()
    expect(listener.read()).toEqual([0])
  })

  test('without a trigger is an error', async () => {
    const queue = await bed.install()
    for (const options of [{}, { ignoreListener: true }]) {
      checkError(await errorOf(async () => queue.triggerPull(options)), {
        type: TriggerError,
        cause: 'ENOENT',
        path: fifo(),
        says: /has no trigger. Make it with queue\.trigger\(\)/,
      })
    }
  })

  test('without a listener is an error, unless ignoreListener is set', async () => {
    const queue = await bed.install()
    await queue.trigger()
    checkError(await errorOf(async () => queue.triggerPull()), {
      type: TriggerError,
      cause: 'ENXIO',
      path: fifo(),
      says: /has no listener/,
    })
    await queue.triggerPull({ ignoreListener: true })
    checkError(await errorOf(async () => queue.triggerPull({ ignore: true } as object)), {
      type: SettingError,
      says: /no option 'ignore'/,
    })
  })

  test('of a full pipe succeeds', async () => {
    const queue = await bed.install()
    await queue.trigger()
    const listener = listen()
    const writer = fs.openSync(fifo(), fs.constants.O_WRONLY | fs.constants.O_NONBLOCK)
    expect(() => {
      for (;;) fs.writeSync(writer, Buffer.alloc(4096))
    }).toThrow(/EAGAIN/)
    fs.closeSync(writer)
    await queue.triggerPull()
    expect(listener.read().length).toBeGreaterThan(0)
  })
})

describe('an enqueue', () => {
  const calls: readonly (readonly [string, (queue: Queue, trigger?: boolean) => unknown])[] = [
    ['enqueue', async (queue, trigger) => queue.enqueue('x', [], { trigger })],
    ['enqueueSync', (queue, trigger) => queue.enqueueSync('x', [], { trigger })],
    ['enqueueMany', async (queue, trigger) => queue.enqueueMany([{ data: 'x', trigger }, { trigger }])],
  ]

  test.each(calls)('%s pulls it once, if asked to', async (_what, call) => {
    const queue = await bed.install()
    await queue.trigger()
    const listener = listen()
    await call(queue)
    await call(queue, false)
    expect(listener.read()).toEqual([])
    await call(queue, true)
    expect(listener.read()).toEqual([0])
    const eager = bed.open({ useTrigger: true })
    await call(eager)
    expect(listener.read()).toEqual([0])
    await call(eager, false)
    expect(listener.read()).toEqual([])
  })

  test.each(calls)('%s without a listener: fine; without a trigger: reported once', async (_what, call) => {
    const queue = await bed.install({ useTrigger: true })
    await queue.trigger()
    await call(queue)
    expect(bed.reports).toEqual([])
    await queue.untrigger()
    await call(queue)
    await call(queue)
    expect(bed.reports).toMatchObject([
      {
        type: 'trigger',
        name: 'trigger-s',
        message: expect.stringMatching(/was not pulled: .*queue\.trigger\(\)/),
      },
    ])
    expect(bed.reports[0]?.error).toBeInstanceOf(TriggerError)
    expect(names(queue, 'queue').length).toBeGreaterThanOrEqual(3)
  })

  test('that fails pulls nothing', async () => {
    const queue = await bed.install()
    await queue.trigger()
    const listener = listen()
    fs.renameSync(bed.path('q', 'queue'), bed.path('q', 'gone'))
    await errorOf(async () => queue.enqueue('x', [], { trigger: true }))
    expect(listener.read()).toEqual([])
  })

  test('refuses what is neither true nor false', async () => {
    const queue = await bed.install()
    checkError(await errorOf(async () => queue.enqueue('x', [], { trigger: 1 as never })), {
      type: SettingError,
      says: /trigger is 1, expected true or false/,
    })
    expect(names(queue, 'queue')).toEqual([])
  })
})

describe('a loop that waits', () => {
  test('listens from before its first listing, and looks when it is pulled', async () => {
    const queue = await bed.install()
    await queue.trigger()
    const order: string[] = []
    const { list, listenTrigger } = native
    jest.spyOn(native, 'listenTrigger').mockImplementation((...args) => {
      order.push('listen')
      return listenTrigger(...args)
    })
    jest.spyOn(native, 'list').mockImplementation(async (...args) => {
      order.push('list')
      return list(...args)
    })
    const waits = jest.spyOn(native, 'awaitWatch')
    const stop = new AbortController()
    const ended = errorOf(async () => queue.scanForever({ signal: stop.signal }).next())
    await until('it waits', () => waits.mock.calls.length > 0)
    expect(order.slice(0, 2)).toEqual(['listen', 'list'])
    const looks = jest.spyOn(native, 'listSync')
    for (let pull = 1; pull <= 3; pull++) {
      await bed.open().triggerPull()
      await until('it has looked', () => looks.mock.calls.length >= pull)
    }
    // By any program.
    expect(spawnSync('sh', ['-c', `printf x > '${fifo()}'`]).status).toBe(0)
    await until('it has looked', () => looks.mock.calls.length >= 4)
    stop.abort()
    expect(await ended).toBe(stop.signal.reason)
    checkError(await errorOf(async () => queue.triggerPull()), {
      type: TriggerError,
      says: /has no listener/,
    })
  })

  test('hears a trigger that is made, or made anew, while it waits', async () => {
    const queue = await bed.install()
    const stop = new AbortController()
    const ended = errorOf(async () => queue.scanForever({ signal: stop.signal }).next())
    for (let time = 0; time < 3; time++) {
      await queue.trigger()
      await until('it listens', async () => {
        try {
          await queue.triggerPull()
          return true
        } catch {
          return false
        }
      })
      await queue.untrigger()
    }
    stop.abort()
    expect(await ended).toBe(stop.signal.reason)
  })
})
