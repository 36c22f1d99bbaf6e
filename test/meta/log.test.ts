import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { layoutOf } from '../../src/directory/layout.js'
import { MetaDirectory } from '../../src/meta/directory.js'
import {
  type CrashLine,
  type FailedLine,
  appendLine,
  loggedKeys,
  newestHalf,
  parseLog,
  readLog,
  removeLog,
} from '../../src/meta/log.js'
import { loggedError } from '../../src/meta/logged-error.js'
import type { Queue } from '../../src/queue.js'
import { useTestBed } from '../support/queue.js'

const bed = useTestBed({ quick: true })
const AT = '2026-01-02T03:04:05.678Z'
const KEY = '_20120710213904_0_13044_mss_x'

function failedLine(message: string, id = '_20120710213904_0_13044_mss_0_x'): FailedLine {
  return { at: AT, try: 1, ms: 1, host: 'web1', pid: 1, id, error: { name: 'Error', message } }
}

function crashLine(worker: string): CrashLine {
  return { at: AT, crashed: true, together: 1, try: 1, host: 'web1', pid: 1, id: '_x', worker, since: AT }
}

function metaOf(queue: Queue): MetaDirectory {
  return new MetaDirectory(layoutOf(queue.name, queue.settings))
}

const logFile = (queue: Queue): string => path.join(queue.path, 'meta', 'log', KEY)
const messages = fc.string({ maxLength: 200 })

describe('the log of an item', () => {
  test('has one line an attempt', async () => {
    const queue = await bed.install()
    const meta = metaOf(queue)
    appendLine(meta, KEY, failedLine('first'))
    appendLine(meta, KEY, crashLine('web1.1.1'))
    expect(readLog(meta.layout, KEY)).toEqual([failedLine('first'), crashLine('web1.1.1')])
    expect(fs.readFileSync(logFile(queue), 'utf8').split('\n')).toHaveLength(3)
    expect(loggedKeys(meta.layout)).toEqual([KEY])
    removeLog(meta.layout, KEY)
    removeLog(meta.layout, KEY)
    expect(readLog(meta.layout, KEY)).toEqual([])
    expect(loggedKeys(meta.layout)).toEqual([])
  })

  test('can be of any name that an item has', async () => {
    const meta = metaOf(await bed.install())
    const key = `.${'\u00e9\u00ff'.repeat(125)}xx`
    appendLine(meta, key, failedLine('no'))
    expect(readLog(meta.layout, key)).toHaveLength(1)
    expect(loggedKeys(meta.layout)).toEqual([key])
  })

  test('keeps the newest half above 64 KiB', async () => {
    const queue = await bed.install()
    const meta = metaOf(queue)
    const texts = Array.from({ length: 100 }, (_, index) => `${index} ${'x'.repeat(1000)}`)
    for (const text of texts) {
      appendLine(meta, KEY, failedLine(text))
      expect(fs.statSync(logFile(queue)).size).toBeLessThanOrEqual(64 * 1024)
    }
    const kept = readLog(meta.layout, KEY).map((line) => ('error' in line ? line.error.message : ''))
    expect(kept.length).toBeGreaterThan(20)
    expect(kept).toEqual(texts.slice(-kept.length))
    expect(fs.readdirSync(path.join(queue.path, 'meta', 'log'))).toEqual([KEY])
  })

  test('loses no line but those that were cut short', async () => {
    const queue = await bed.install()
    const meta = metaOf(queue)
    fc.assert(
      fc.property(
        fc.array(fc.tuple(messages, fc.boolean(), fc.nat({ max: 100 })), { maxLength: 15 }),
        (steps) => {
          removeLog(meta.layout, KEY)
          const expected: string[] = []
          for (const [message, isTorn, cut] of steps) {
            appendLine(meta, KEY, failedLine(message))
            if (isTorn) fs.truncateSync(logFile(queue), fs.statSync(logFile(queue)).size - 1 - cut)
            else expected.push(message)
          }
          // A line that has lost its newline only is whole.
          const read = readLog(meta.layout, KEY).map((line) => ('error' in line ? line.error.message : ''))
          expect(read.filter((message) => expected.includes(message))).toEqual(
            expect.arrayContaining(expected),
          )
          expect(read.length).toBeLessThanOrEqual(steps.length)
        },
      ),
    )
  })

  test('is halved between lines', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ maxLength: 9000 }), { minLength: 1, maxLength: 40 }), (texts) => {
        const lines = texts.map((text) => `${JSON.stringify(failedLine(text))}\n`)
        const bytes = Buffer.from(lines.join(''))
        const half = newestHalf(bytes).toString('utf8')
        expect(bytes.toString('utf8').endsWith(half)).toBe(true)
        const kept = parseLog(Buffer.from(half)).length
        expect(kept).toBeGreaterThan(0)
        expect(half).toBe(lines.slice(-kept).join(''))
        if (kept > 1) expect(Buffer.byteLength(half)).toBeLessThanOrEqual(32 * 1024)
      }),
    )
  })

  test('counts a mark once that was written twice', () => {
    const marks = [crashLine('web1.1.1'), crashLine('web1.1.1'), crashLine('web1.2.1')]
    const bytes = Buffer.from(marks.map((mark) => `${JSON.stringify(mark)}\n`).join(''))
    expect(parseLog(bytes)).toEqual([marks[0], marks[2]])
  })

  test('is not read where it is nonsense', () => {
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.json(), fc.string()), { maxLength: 20 }), (lines) => {
        const bytes = Buffer.from([...lines, JSON.stringify(failedLine('yes'))].join('\n'))
        expect(parseLog(bytes).at(-1)).toEqual(failedLine('yes'))
      }),
    )
  })
})

describe('what is kept of an error', () => {
  test('its name, message, code and stack', () => {
    const error = Object.assign(new TypeError('no'), { code: 'E_NO' })
    expect(loggedError(error)).toEqual({ name: 'TypeError', message: 'no', code: 'E_NO', stack: error.stack })
  })

  test('anything can be thrown', () => {
    expect(loggedError('no')).toEqual({ name: 'string', message: 'no' })
    expect(loggedError(undefined)).toEqual({ name: 'undefined', message: 'undefined' })
    const hostile = Object.defineProperty(new Error('x'), 'message', {
      get() {
        throw new Error('no')
      },
    })
    expect(loggedError(hostile)).toEqual({ name: 'Error', message: 'an error that cannot be read' })
    fc.assert(
      fc.property(fc.anything(), (value) => {
        expect(typeof JSON.stringify(loggedError(value))).toBe('string')
      }),
    )
  })

  test('is bounded', () => {
    const { message, stack = '' } = loggedError(new Error('x'.repeat(100_000)))
    expect(message.length + stack.length).toBeLessThan(9000)
  })
})
