import { once } from 'node:events'

import { expect, test } from '@jest/globals'

import { ClosingError } from '../../src/errors/classes.js'
import { type WorkableItem, work } from '../../src/index.js'

/** An item with nothing but what each source has. */
function bareItem(key: string, log: string[]): WorkableItem {
  const note = async (what: string): Promise<void> => void log.push(`${what} ${key}`)
  return {
    id: key,
    key,
    tries: 0,
    signal: new AbortController().signal,
    done: async () => note('done'),
    fail: async () => note('fail'),
    release: async () => note('release'),
    retry: async () => {
      await note('retry')
      return 'waiting'
    },
  }
}

/** Hands out the items once, then waits until it is left. */
async function* handOut(items: readonly WorkableItem[], signal: AbortSignal): AsyncGenerator<WorkableItem> {
  yield* items
  await new Promise((resolve) => signal.addEventListener('abort', resolve))
}

test('items that cannot abort their signals or tell whether they are claimed are worked, too', async () => {
  const log: string[] = []
  const items = ['good', 'bad', 'slow'].map((key) => bareItem(key, log))
  const reasons: unknown[] = []
  const worker = await work(
    { scan: ({ signal }) => handOut(items, signal) },
    async (item, { signal }) => {
      if (item.key === 'bad') throw new Error('bad')
      if (item.key === 'good') return
      await new Promise<void>((_, reject) => {
        signal.addEventListener('abort', () => {
          reasons.push(signal.reason)
          reject(new Error('aborted'))
        })
      })
    },
    { concurrency: 3, grace: 0 },
  )
  while (worker.counters.done + worker.counters.retried < 2)
    await new Promise((resolve) => worker.once('retried', resolve))
  expect(await worker.close()).toEqual({ left: [] })
  expect(log.sort()).toEqual(['done good', 'release slow', 'retry bad'])
  expect(reasons).toEqual([expect.any(ClosingError)])
})

test('a signal that is aborted while the source opens is obeyed, and the source is closed', async () => {
  const stop = new AbortController()
  const calls: string[] = []
  const source = {
    open: async () => stop.abort(new Error('stopped')),
    scan: ({ signal }: { signal: AbortSignal }) => {
      calls.push('scan')
      return handOut([], signal)
    },
    close: async () => void calls.push('close'),
  }
  await expect(work(source, async () => undefined, { signal: stop.signal })).rejects.toThrow('stopped')
  expect(calls).toEqual(['close'])
})

test.each([
  ['null', null],
  ['a number', 5],
  ['an object without moves', {}],
])(
  'a source that hands out %s, which is no item: the worker says so, goes on and closes',
  async (_, strange) => {
    const log: string[] = []
    const items = [[strange as never], [bareItem('good', log)]]
    let left = 0
    const scan = async function* ({ signal }: { signal: AbortSignal }): AsyncGenerator<WorkableItem> {
      try {
        yield* handOut(items.shift() ?? [], signal)
      } finally {
        left++
      }
    }
    const worker = await work({ scan }, () => undefined)
    const [error] = (await once(worker, 'error')) as unknown[]
    expect(error).toMatchObject({
      message: expect.stringMatching(/^The source has handed out .* is no item/),
    })
    expect(worker.state).toBe('missing')
    await once(worker, 'done')
    expect([log, left]).toEqual([['done good'], 1])
    await worker.close()
  },
)
