import { describe, expect, test } from '@jest/globals'

import type { LogLine } from '../../src/meta/log.js'
import { suspicionOf } from '../../src/meta/suspicion.js'

const AT = '2026-01-02T03:04:05.678Z'
const common = { at: AT, try: 1, host: 'web1', pid: 1, id: '_x' }
const REDRIVEN: LogLine = { at: AT, redriven: true }
const FAILED: LogLine = { ...common, ms: 1, error: { name: 'Error', message: 'no' } }

function mark(together: number): LogLine {
  return { ...common, crashed: true, together, worker: 'web1.1.1', since: AT }
}

function marks(...together: number[]): LogLine[] {
  return together.map(mark)
}

describe('marks', () => {
  test('none: the item runs', () => {
    expect(suspicionOf([], 3)).toBe('none')
    expect(suspicionOf([FAILED, FAILED, FAILED], 3)).toBe('none')
  })

  test('one: it runs alone, however many items the worker had in hand', () => {
    expect(suspicionOf(marks(1), 3)).toBe('alone')
    expect(suspicionOf(marks(16), 3)).toBe('alone')
  })

  test('made alone count each, those made together once', () => {
    expect(suspicionOf(marks(4, 1), 3)).toBe('alone')
    expect(suspicionOf(marks(4, 4, 4, 4), 3)).toBe('alone')
    expect(suspicionOf(marks(1, 1, 1), 3)).toBe('crashed')
    expect(suspicionOf(marks(4, 1, 1), 3)).toBe('crashed')
    expect(suspicionOf(marks(4, 4, 1), 3)).toBe('alone')
  })

  test('three times as many as crashes are allowed are too many', () => {
    expect(suspicionOf(marks(4, 4, 4, 4, 4, 4, 4, 4), 3)).toBe('alone')
    expect(suspicionOf(marks(4, 4, 4, 4, 4, 4, 4, 4, 4), 3)).toBe('crashed')
  })

  test('before a redrive are forgotten', () => {
    expect(suspicionOf([...marks(1, 1, 1), REDRIVEN], 3)).toBe('none')
    expect(suspicionOf([...marks(1, 1, 1), REDRIVEN, ...marks(1)], 3)).toBe('alone')
  })
})
