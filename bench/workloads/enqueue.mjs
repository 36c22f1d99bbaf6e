import { checkEnqueuedByFloor } from '../lib/check.mjs'
import { floorEnqueue } from '../lib/floor.mjs'
import { lanes } from '../lib/lanes.mjs'
import { payloads } from '../lib/payloads.mjs'
import { settle, timed } from '../lib/rounds.mjs'
import { openFsq } from '../peers/fsq.mjs'
import { openNodeFs } from '../peers/node-fs.mjs'

const IN_FLIGHT = 64
const BULK = 1000
// How many items our native code writes before it links them.
const GROUP = 64
const LARGE = 1024 * 1024
// Other queues take text, and are not made for large payloads.
const PEER_SIZES = [64, 4096]

const one = async (store, items) => items.map((item) => store.enqueueSync(item))

async function awaited(store, items) {
  const ids = []
  for (const item of items) ids.push(await store.enqueue(item))
  return ids
}

async function inFlight(store, items) {
  const ids = []
  await lanes(items.length, IN_FLIGHT, async (index) => {
    ids[index] = await store.enqueue(items[index])
  })
  return ids
}

async function bulk(store, items) {
  const ids = []
  for (let from = 0; from < items.length; from += BULK) {
    ids.push(...(await store.enqueueMany(items.slice(from, from + BULK))))
  }
  return ids
}

const LONE = { name: 'floor', group: 1, batch: 1, threads: 1 }

/**
 * For each form: how we run, what the floor does for comparison, how node:fs runs, and the method that a peer needs
 * to run like us.
 */
const FORMS = {
  sync: {
    run: one,
    floor: { none: LONE, enqueue: LONE },
    nodeFs: { 'node:fs sync': one },
    method: 'enqueueSync',
  },
  awaited: {
    run: awaited,
    floor: { none: LONE, enqueue: LONE },
    nodeFs: { 'fs/promises awaited': awaited },
    method: 'enqueue',
  },
  '64 in flight': {
    run: inFlight,
    floor: {
      none: LONE,
      enqueue: { name: 'floor, groups of 64', group: GROUP, batch: IN_FLIGHT, threads: 1 },
    },
    nodeFs: { 'fs/promises, 64 in fl.': inFlight },
    method: 'enqueue',
  },
  'bulk of 1,000': {
    run: bulk,
    floor: {
      none: { name: 'floor, 2 threads', group: 1, batch: 1, threads: 2 },
      enqueue: { name: 'floor, groups of 64', group: GROUP, batch: BULK, threads: 1 },
    },
    nodeFs: { 'fs/promises, 64 in fl.': inFlight, 'node:fs sync': bulk },
    method: 'enqueueMany',
  },
}

/** Rows that add items to an empty queue. */
export function enqueueRows({ counts, sizes, peers }) {
  return ['none', 'enqueue'].flatMap((durability) =>
    Object.entries(FORMS).flatMap(([form, { run, floor, nodeFs, method }]) =>
      sizes.map((size) => ({
        name: `enqueue ${form}`,
        size,
        durability,
        items: itemsOf(counts, size, durability),
        contenders: [
          contender('fsq', openFsq, run, { size, durability }),
          floorContender(floor[durability], { size, durability }),
          ...Object.entries(nodeFs).map(([name, runIt]) =>
            contender(name, openNodeFs, runIt, { size, durability }),
          ),
          ...peers
            .filter((peer) => peer.durability === durability && peer.methods.includes(method))
            .filter(() => PEER_SIZES.includes(size))
            .map((peer) => ({
              ...contender(peer.name, peer.open, run, { size, durability }),
              items: counts.peers,
            })),
        ],
      })),
    ),
  )
}

function itemsOf({ items, durable, large }, size, durability) {
  if (size >= LARGE) return large
  return durability === 'none' ? items : durable
}

function contender(name, open, run, { size, durability }) {
  return {
    name,
    async measure(folder, count) {
      const items = payloads(count, size)
      const store = await open(folder, { durability })
      const { milliseconds, result } = await timed(folder, () => run(store, items))
      await store.checkEnqueued(result, items)
      await store.close()
      return milliseconds
    },
  }
}

function floorContender({ name, ...order }, { size, durability }) {
  return {
    name,
    async measure(folder, count) {
      await (await openFsq(folder)).close()
      settle(folder)
      const durable = durability !== 'none'
      const { milliseconds } = await floorEnqueue(folder, { ...order, count, size, durable })
      checkEnqueuedByFloor(folder, payloads(count, size))
      return milliseconds
    },
  }
}
