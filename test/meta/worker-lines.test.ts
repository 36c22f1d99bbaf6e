import { Buffer } from 'node:buffer'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import {
  LINE_BYTES,
  type WorkerLine,
  WorkerLines,
  parseWorkerLines,
  shortProgress,
} from '../../src/meta/worker-lines.js'
import { itemName } from '../support/queue.js'

const SINCE = '2026-01-02T03:04:05.678Z'
const WORKER: WorkerLine = {
  version: 1,
  pid: 4711,
  host: 'web1',
  boot: '0152c397-f7db-4841-ac15-8bcb861c9be4',
  started: SINCE,
  concurrency: 4,
  state: 'running',
  counters: { started: 9, done: 8, retried: 0, failed: 1, postponed: 0, released: 0, crashed: 0 },
}
/** Any bytes that can be the name of a file. */
const rawNames = fc
  .uint8Array({ minLength: 1, maxLength: 255 })
  .map((bytes) => Buffer.from(bytes).toString('latin1').replace(/[/\0]/g, '_'))
  .filter((name) => name !== '.' && name !== '..')

function linesOf(bytes: Buffer): string[] {
  const lines: string[] = []
  for (let at = 0; at < bytes.length; at += LINE_BYTES)
    lines.push(bytes.toString('utf8', at, at + LINE_BYTES))
  return lines
}

describe('the lines of a worker', () => {
  test('are JSON, 512 bytes each, padded with blanks', () => {
    const lines = new WorkerLines(2)
    lines.worker = WORKER
    lines.hold({ id: itemName(), since: SINCE })
    const [first = '', second = '', third = '', ...others] = linesOf(lines.bytes)
    expect(JSON.parse(first)).toEqual(WORKER)
    expect(JSON.parse(second)).toEqual({ id: itemName(), since: SINCE })
    expect(third).toBe(`${' '.repeat(LINE_BYTES - 1)}\n`)
    expect(others).toEqual([])
    for (const line of [first, second]) expect(line).toMatch(/ +\n$/)
  })

  test('tell again what they were told, whatever the name', () => {
    fc.assert(
      fc.property(fc.array(rawNames, { maxLength: 40 }), fc.anything(), (ids, told) => {
        const lines = new WorkerLines(1)
        lines.worker = WORKER
        for (const id of ids) lines.hold({ id, since: SINCE })
        const [id] = ids
        const progress = withoutThrow(told)
        if (id !== undefined) lines.update(1, { id, since: SINCE, progress })
        expect(lines.bytes.length % LINE_BYTES).toBe(0)
        for (const line of linesOf(lines.bytes)) {
          expect(Buffer.byteLength(line)).toBe(LINE_BYTES)
          expect(line.split('\n')).toEqual([expect.any(String), ''])
        }
        const { worker, held } = parseWorkerLines(lines.bytes)
        expect(worker).toEqual(WORKER)
        expect(held.map((item) => item.id).sort()).toEqual([...ids].sort())
      }),
    )
  })

  test('keep their places, and write only the range that has changed', () => {
    const operations = fc.array(fc.nat({ max: 9 }), { maxLength: 60 })
    fc.assert(
      fc.property(operations, (steps) => {
        const lines = new WorkerLines(2)
        let file = Buffer.from(lines.bytes)
        lines.takeChange()
        const held = new Map<number, number>()
        for (const [index, step] of steps.entries()) {
          const line = held.get(step)
          if (line === undefined) held.set(step, lines.hold({ id: `_${index}_${step}`, since: SINCE }))
          else lines.drop(line)
          if (line !== undefined) held.delete(step)
          if (index % 3 !== 0) continue
          const { start, end } = lines.takeChange()
          const grown = Buffer.alloc(Math.max(file.length, end))
          file.copy(grown)
          lines.bytes.copy(grown, start, start, end)
          file = grown
          expect(file.equals(lines.bytes)).toBe(true)
        }
        expect(parseWorkerLines(lines.bytes).held).toHaveLength(held.size)
      }),
    )
  })

  test('that were cut short, or lead out of the queue, are skipped', () => {
    const lines = new WorkerLines(3)
    lines.worker = WORKER
    lines.hold({ id: '_a', since: SINCE })
    lines.hold({ id: '../../etc/passwd', since: SINCE })
    lines.hold({ id: '_b', since: SINCE })
    const cut = lines.bytes.subarray(0, 3 * LINE_BYTES + 20)
    expect(parseWorkerLines(cut)).toEqual({ worker: WORKER, held: [{ id: '_a', since: SINCE }] })
    expect(parseWorkerLines(Buffer.from('nonsense'))).toEqual({ worker: undefined, held: [] })
  })

  test('take at most 200 bytes of progress', () => {
    expect(shortProgress('page 41 of 90')).toBe('page 41 of 90')
    expect(shortProgress({ page: 41 })).toEqual({ page: 41 })
    expect(shortProgress('x'.repeat(1000))).toMatch(/^x{150,199}$/)
    expect(
      Buffer.byteLength(JSON.stringify(shortProgress({ text: '\u0001€'.repeat(300) }))),
    ).toBeLessThanOrEqual(200)
  })
})

function withoutThrow(value: unknown): unknown {
  try {
    return shortProgress(value)
  } catch {
    return undefined
  }
}
