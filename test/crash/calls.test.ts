// How many system calls an item takes. Each fault point counts one; close(2) has none.
import { describe, expect, test } from '@jest/globals'

import { Child, makeDirectory } from '../support/child.js'

const COUNT = 500

/** The calls an item, for each fault point that was reached. */
async function callsOf(way: string): Promise<Record<string, number>> {
  const job = { root: makeDirectory({ quick: true }), way, count: COUNT }
  const child = new Child('count-calls.mjs', job, { faultBuild: true })
  const { hits } = await child.says('hits')
  expect(await child.ended).toEqual({ code: 0, signal: null })
  return Object.fromEntries(
    Object.entries(hits as Record<string, number>)
      .filter(([, count]) => count > 0)
      .map(([point, count]) => [point, count / COUNT]),
  )
}

// A scan may rest for 10 ms at a time on a busy machine, and look again after each rest.
test('a drain looks at down once for many items', async () => {
  const calls = await callsOf('done')
  expect(calls['claim.down']).toBeLessThan(0.1)
})

test('a scan of an empty queue makes no claim', async () => {
  const calls = await callsOf('scan')
  expect(calls).toMatchObject({ 'list.open': 1, 'claim.down': 1 })
  expect(calls['claim.kind'] ?? 0).toBeLessThan(0.1)
})

describe('an enqueue', () => {
  test.each([
    ['enqueue', { 'enqueue.open': 1, 'enqueue.write': 1, 'enqueue.stat': 1, 'enqueue.link': 1 }],
    ['enqueueEmpty', { 'enqueue.open': 1, 'enqueue.stat': 1 }],
    ['enqueueMany', { 'enqueue.open': 1, 'enqueue.write': 1, 'enqueue.link': 1 }],
  ])('%s: looks at the mode of one file for many', async (way, expected) => {
    const calls = await callsOf(way)
    expect(calls).toMatchObject(expected)
    expect(calls['enqueue.fstat'] ?? 0).toBeLessThan(0.2)
    expect(calls['enqueue.chmod']).toBeUndefined()
  })
})

describe('the finish of an item', () => {
  test.each([
    ['done', undefined],
    ['done, with its descriptor', 1],
  ])('%s: looks at the descriptor only if it was asked for', async (way, looks) => {
    const calls = await callsOf(way)
    expect(calls).toMatchObject({ 'finish.stat': 1, 'finish.rename': 1, 'claim.unlock': 1 })
    expect(calls['finish.fstat']).toBe(looks)
  })
})
