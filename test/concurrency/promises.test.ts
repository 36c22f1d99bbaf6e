// How many promises an item takes. Each costs as much as a small system call.
import { expect, test } from '@jest/globals'

import { Child, makeDirectory } from '../support/child.js'

test('four promises an item are enough on each way', async () => {
  const child = new Child('count-promises.mjs', { root: makeDirectory({ quick: true }) })
  expect(await child.ended).toEqual({ code: 0, signal: null })
  const [{ counts }] = child.said('counts') as unknown as [{ counts: Record<string, number> }]
  // The scan, the close of a worker and the like take some, too, for all items together.
  const many = Object.entries(counts).filter(([, count]) => count > 4.25)
  expect(many).toEqual([])
})
