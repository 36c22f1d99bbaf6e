import { expect, test } from '@jest/globals'

import { errorText } from '../../src/meta/attempts.js'
import { NO_REASON, failureReason, failuresByReason } from '../../src/meta/failures.js'
import type { FailedLine, LogLine } from '../../src/meta/log.js'

const AT = '2026-11-26T12:00:00.000Z'

function failed(message: string, name = 'Error'): FailedLine {
  return { at: AT, try: 1, ms: 1, host: 'h', pid: 1, id: '_', error: { name, message }, reason: 'exhausted' }
}

const crashed: LogLine = {
  at: AT,
  crashed: true,
  together: 1,
  try: 1,
  host: 'h',
  pid: 1,
  id: '_',
  worker: 'h.1.0',
  since: AT,
}

test('groups come by size, and then by time', () => {
  const items = [
    { failedAt: 1, reason: 'a' },
    { failedAt: 5, reason: 'b' },
    { failedAt: 3, reason: 'c' },
    { failedAt: 2, reason: 'c' },
    { failedAt: 4, reason: 'c' },
  ]
  const groups = failuresByReason(items).map((group) => ({
    ...group,
    items: group.items.map(({ failedAt }) => failedAt),
  }))
  expect(groups).toEqual([
    { reason: 'c', items: [4, 3, 2], last: 4 },
    { reason: 'b', items: [5], last: 5 },
    { reason: 'a', items: [1], last: 1 },
  ])
})

test.each([
  [
    "ENOENT: no such file or directory, open '/data/a.pdf'",
    'Error: ENOENT: no such file or directory, open …',
  ],
  ['no user "bob" in `db`', 'Error: no user … in …'],
  ['item 4e37abb3-22f4-48ff-98fd-34d2d7f70a94 of 1732622400123', 'Error: item … of …'],
  ['connect ECONNREFUSED 10.0.0.7:5432', 'Error: connect ECONNREFUSED 10.0.0.7:5432'],
  ['status 404', 'Error: status 404'],
  ['a facade of deadbeef', 'Error: a facade of deadbeef'],
  ['first\nsecond', 'Error: first'],
])('the reason of %j', (message, reason) => {
  expect(failureReason([failed(message)])).toBe(reason)
})

test('the last line counts', () => {
  expect(failureReason([failed('a'), failed('b', 'TypeError')])).toBe('TypeError: b')
  expect(failureReason([failed('a'), crashed])).toBe('(the worker died)')
  expect(failureReason([failed('a'), { at: AT, redriven: true }])).toBe(NO_REASON)
  expect(failureReason([])).toBe(NO_REASON)
})

test('a value that is no error has no name, and a log can hold anything', () => {
  expect(failureReason([failed('thrown', 'string')])).toBe('thrown')
  expect(errorText({ name: 1, message: { a: 1 } })).toBe('1: [object Object]')
  expect(failureReason([failed('x'.repeat(300))])).toHaveLength(200)
})
