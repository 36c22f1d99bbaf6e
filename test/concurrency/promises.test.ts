// How many promises an item takes. Each costs as much as a small system call.
import { expect, test } from '@jest/globals'

import { Child, makeDirectory } from '../support/child.js'

test('four promises an item are enough on each way', async () => {
  const child = new Child('count-promises.mjs', { root: makeDirectory({ quick: true }) })
  expect(await child.ended).toEqual({ code: 0, signal: null })
  const [{ counts }] = child.said('counts') as unknown as [{ counts: Record<string, number> }]
  // Claims of many items together, the end of a scan and the like take some, too: a part of one for an item.
  const many = Object.entries(counts).filter(([, count]) => count >= 5)
  expect(many).toEqual([])
})
