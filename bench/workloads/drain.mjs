import { checkTallies } from '../lib/check.mjs'
import { floorDrain, floorEnqueue } from '../lib/floor.mjs'
import { payloads } from '../lib/payloads.mjs'
import { settle, timed } from '../lib/rounds.mjs'
import { openFsq } from '../peers/fsq.mjs'
import { openNodeFs } from '../peers/node-fs.mjs'

const WIDTHS = { 1: 'fs/promises awaited', 16: 'fs/promises, 16 in fl.' }
const LARGEST = 4096

/** Rows that take and finish items, from listing the directory to the last rename. */
export function drainRows({ counts, sizes, peers }) {
  return Object.entries(WIDTHS).flatMap(([key, promises]) =>
    sizes
      .filter((size) => size > 0 && size <= LARGEST)
      .map((size) => {
        const width = Number(key)
        const run = (store, count) => store.drain(width, count)
        return {
          name: `drain concurrency ${width}`,
          size,
          durability: 'none',
          items: counts.items,
          contenders: [
            contender('fsq', openFsq, run, size),
            floorContender(size),
            contender(promises, openNodeFs, run, size),
            contender('node:fs sync', openNodeFs, async (store) => store.drainSync(), size),
            ...peers.map(({ name, durability, open }) => ({
              ...contender(name, open, run, size),
              // Durable items wait for the disk one by one, so there are fewer.
              items: durability === 'none' ? counts.peers : counts.durable,
            })),
          ],
        }
      }),
  )
}

/** The same where claims are renames, which is meant for shared file systems: against the same calls, and against locks. */
export function renameRows({ counts, sizes }) {
  const openRename = (folder) => openFsq(folder, { claims: 'rename' })
  return [1, 16].flatMap((width) =>
    sizes
      .filter((size) => size === 64)
      .map((size) => {
        const run = (store, count) => store.drain(width, count)
        return {
          name: `claims by rename, ${width}`,
          size,
          durability: 'none',
          items: counts.items,
          contenders: [
            contender('fsq', openRename, run, size),
            floorContender(size, openRename, { rename: 1 }),
            contender('fsq, locks', openFsq, run, size),
          ],
        }
      }),
  )
}

function contender(name, open, run, size) {
  return {
    name,
    async measure(folder, count) {
      const items = payloads(count, size)
      const store = await open(folder)
      await enqueueAll(store, items)
      const { milliseconds, result } = await timed(folder, () => run(store, count))
      await store.checkDrained(result, items)
      await store.close()
      return milliseconds
    },
  }
}

function floorContender(size, open = openFsq, order = {}) {
  return {
    name: 'floor',
    async measure(folder, count) {
      await (await open(folder)).close()
      await floorEnqueue(folder, { count, size })
      settle(folder)
      const tally = await floorDrain(folder, order)
      checkTallies(folder, [tally], { count, size })
      return tally.milliseconds
    },
  }
}

async function enqueueAll(store, items) {
  if (store.enqueueMany === undefined) await Promise.all(items.map((item) => store.enqueue(item)))
  else await store.enqueueMany(items)
}
