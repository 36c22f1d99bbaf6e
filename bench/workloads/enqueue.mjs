import { checkEnqueued } from '../lib/check.mjs'
import { lanes } from '../lib/lanes.mjs'
import { payloads } from '../lib/payloads.mjs'
import { timed } from '../lib/rounds.mjs'
import { openFsq } from '../peers/fsq.mjs'
import { openNodeFs } from '../peers/node-fs.mjs'

const IN_FLIGHT = 64
const BULK = 1000

const one = async (store, items) => items.map((item) => store.enqueueSync(item))

async function awaited(store, items) {
  const names = []
  for (const item of items) names.push(await store.enqueue(item))
  return names
}

async function inFlight(store, items) {
  const names = []
  await lanes(items.length, IN_FLIGHT, async (index) => {
    names[index] = await store.enqueue(items[index])
  })
  return names
}

async function bulk(store, items) {
  const names = []
  for (let from = 0; from < items.length; from += BULK) {
    names.push(...(await store.enqueueMany(items.slice(from, from + BULK))))
  }
  return names
}

const FORMS = {
  sync: { ours: one, references: { 'node:fs sync': one } },
  awaited: { ours: awaited, references: { 'fs/promises awaited': awaited } },
  '64 in flight': { ours: inFlight, references: { 'fs/promises, 64 in fl.': inFlight } },
  'bulk of 1,000': { ours: bulk, references: { 'fs/promises, 64 in fl.': inFlight, 'node:fs sync': bulk } },
}

/** Rows of adding items: no item is there before. */
export function enqueueRows({ counts }) {
  return ['none', 'enqueue'].flatMap((durability) =>
    Object.entries(FORMS).flatMap(([form, { ours, references }]) =>
      [64, 4096].map((size) => ({
        name: `enqueue ${form}`,
        size,
        durability,
        items: durability === 'none' ? counts.items : counts.durable,
        contenders: [
          contender('fsq', openFsq, ours, { size, durability }),
          ...Object.entries(references).map(([name, run]) =>
            contender(name, openNodeFs, run, { size, durability }),
          ),
        ],
      })),
    ),
  )
}

function contender(name, open, run, { size, durability }) {
  return {
    name,
    async measure(folder, count) {
      const items = payloads(count, size)
      const store = await open(folder, { durability })
      const { milliseconds, result } = await timed(() => run(store, items))
      await store.close()
      checkEnqueued(folder, result, items)
      return milliseconds
    },
  }
}
