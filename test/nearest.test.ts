// A mistyped name: the message has the one that was meant.
import { describe, expect, test } from '@jest/globals'

import { PayloadError, SettingError } from '../src/errors/classes.js'
import { setConst } from '../src/index.js'
import { nearest } from '../src/nearest.js'
import { Queue } from '../src/queue.js'
import { checkError, errorOf, useTestBed } from './support/queue.js'

const bed = useTestBed({ quick: true })
const NAMES = ['list', 'log', 'rm', 'retry', 'maxTries', 'add-host']

test.each([
  ['lst', 'list'],
  ['lsit', 'list'],
  ['logs', 'log'],
  ['rmm', 'rm'],
  ['maxTrys', 'maxTries'],
  ['MAX_TRIES', 'maxTries'],
  ['addhost', 'add-host'],
  ['toString', undefined],
  ['', undefined],
  ['xy', undefined],
])('%s: %s', (typed, meant) => {
  expect(nearest(typed, NAMES)).toBe(meant)
})

describe('a mistyped option', () => {
  const cases: readonly (readonly [string, () => unknown, RegExp])[] = [
    [
      'of a queue',
      () => new Queue('q', { maxTrys: 1 } as object),
      /no option maxTrys \(do you mean maxTries\?\)/,
    ],
    [
      'of a queue, no setting',
      () => new Queue('q', { onreports: 1 } as object),
      /\(do you mean onReport\?\)/,
    ],
    [
      'of a queue, like none',
      () => new Queue('q', { connection: 1 } as object),
      /There is no option connection\. There are body, args/,
    ],
    ['of an install', () => bed.install({ froce: true } as object), /\(do you mean force\?\)/],
    [
      'of an enqueue',
      async () => (await bed.install()).enqueue('', [], { dealy: 1 } as object),
      /\(do you mean delay\?\)/,
    ],
    ['of setConst', () => setConst('maxTries' as 'FSQ_MAX_TRIES', 1), /\(do you mean FSQ_MAX_TRIES\?\)/],
  ]
  test.each(cases)('%s', async (_name, run, says) => {
    checkError(await errorOf(run), { type: SettingError, says })
  })
})

describe('a payload of another kind', () => {
  const cases: readonly (readonly [unknown, string | undefined])[] = [
    [{ to: 'a' }, 'To write a value as JSON, pass { json: value }'],
    [['a'], 'To write a value as JSON, pass { json: value }'],
    [5, 'To write a value as JSON, pass { json: value }'],
    [Promise.resolve('text'), 'Await the promise, and pass its value'],
    [undefined, undefined],
  ]
  test.each(cases)('%p', async (data, advice) => {
    const queue = await bed.install()
    const error = await errorOf(async () => queue.enqueue(data as string))
    expect(error).toBeInstanceOf(PayloadError)
    expect((error as PayloadError).advice).toBe(advice)
  })
})
