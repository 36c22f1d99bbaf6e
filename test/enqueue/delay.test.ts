import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import process from 'node:process'

import { describe, expect, test } from '@jest/globals'

import { SettingError } from '../../src/errors/classes.js'
import {
  EMPTY,
  contents,
  drain,
  errorOf,
  inProgram,
  names,
  pathOf,
  until,
  useTestBed,
} from '../support/queue.js'
import { payloads } from './ways.js'

// In memory: the path of a library that is preloaded has no blank.
const bed = useTestBed({ quick: true })
const HOUR = 3_600_000

describe('a delay', () => {
  test.each(payloads)('of an item with %s keeps it back until it is due', async (_what, data) => {
    const queue = await bed.install()
    const before = Date.now()
    const id = await queue.enqueue(data, [], { delay: HOUR })
    const { mtimeMs, ctimeMs } = fs.statSync(pathOf(queue, 'queue', id))
    expect(mtimeMs).toBeGreaterThanOrEqual(before + HOUR)
    expect(mtimeMs).toBeLessThanOrEqual(Date.now() + HOUR)
    expect(mtimeMs).toBeGreaterThan(ctimeMs)
    expect(await drain(queue)).toEqual([])
    expect(names(queue, 'queue')).toEqual([id])
    // Its hour has passed.
    fs.utimesSync(pathOf(queue, 'queue', id), new Date(), new Date(Date.now() - 1))
    expect(await drain(queue)).toEqual([id])
  })

  test('ends by itself', async () => {
    const queue = await bed.install()
    const before = Date.now()
    const ids = [
      await queue.enqueue('x', [], { delay: 60 }),
      queue.enqueueSync('x', [], { delay: 60.5 }),
      ...(await queue.enqueueMany([{ data: 'x', delay: 60 }])),
    ]
    const got: string[] = []
    await until('the items are due', async () => {
      for await (const item of queue.scan()) {
        expect(Date.now()).toBeGreaterThanOrEqual(before + 60)
        got.push(item.id)
        await item.done()
      }
      return got.length === ids.length
    })
    expect(got.sort()).toEqual(ids.sort())
  })

  test('of one item lets the others pass', async () => {
    const queue = await bed.install()
    await queue.enqueueMany([
      { args: ['later'], delay: HOUR },
      { args: ['now'] },
      { args: ['zero'], delay: 0 },
    ])
    const ready = []
    for await (const item of queue.scan()) ready.push(item.args)
    expect(ready).toEqual([['now'], ['zero']])
  })

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, 1e15, '5', null])('cannot be %p', async (delay) => {
    const queue = await bed.install()
    const options = { delay: delay as number }
    const errors = [
      await errorOf(async () => queue.enqueue('x', [], options)),
      await errorOf(() => queue.enqueueSync('x', [], options)),
      await errorOf(async () => queue.enqueueMany([options])),
    ]
    for (const error of errors)
      expect(error).toMatchObject({ message: expect.stringMatching(/delay is .*expected milli/) })
    expect(errors.slice(0, 2).map((error) => error instanceof SettingError)).toEqual([true, true])
    expect(contents(queue)).toEqual(EMPTY)
  })

  // The program's own clock is an hour behind the one that stamped the files.
  test('is not what a clock that steps back makes of the others', async () => {
    const source = `
      #include <dlfcn.h>
      #include <sys/time.h>
      #include <time.h>
      extern "C" int clock_gettime(clockid_t clock, timespec* now) noexcept {
        using Real = int (*)(clockid_t, timespec*);
        static const Real real = reinterpret_cast<Real>(dlsym(RTLD_NEXT, "clock_gettime"));
        const int result = real(clock, now);
        if (clock == CLOCK_REALTIME) now->tv_sec -= 3600;
        return result;
      }
      extern "C" int gettimeofday(timeval* now, void*) noexcept {
        timespec precise;
        const int result = clock_gettime(CLOCK_REALTIME, &precise);
        *now = {precise.tv_sec, precise.tv_nsec / 1000};
        return result;
      }`
    fs.writeFileSync(bed.path('clock.cc'), source)
    const library = bed.path('clock.so')
    execFileSync('g++', ['-shared', '-fPIC', '-D_GNU_SOURCE', '-o', library, bed.path('clock.cc'), '-ldl'])
    const queue = await bed.install()
    const plain = await queue.enqueue('x')
    const empty = await queue.enqueue(null)
    const delayed = await queue.enqueue('x', [], { delay: 1800_000 })
    const body = `
      const queue = new Queue('q', { root: given.root })
      const ids = []
      for await (const item of queue.scan()) ids.push(item.id), await item.done()
      return { now: Date.now(), ids }`
    const seen = await inProgram<{ now: number; ids: string[] }>(body, {
      given: { root: bed.root },
      env: { LD_PRELOAD: [process.env['LD_PRELOAD'], library].filter(Boolean).join(':') },
    })
    expect(seen.now).toBeLessThan(Date.now() - HOUR / 2)
    expect(seen.ids).toEqual([plain, empty])
    expect(names(queue, 'queue')).toEqual([delayed])
  })
})
