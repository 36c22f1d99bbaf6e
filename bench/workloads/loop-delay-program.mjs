/** The process of the event loop delay: node loop-delay-program.mjs ORDER, with the order as JSON. Prints JSON. */
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { payloads } from '../lib/payloads.mjs'
import { timed } from '../lib/rounds.mjs'
import { openFsq } from '../peers/fsq.mjs'
import { openNodeFs } from '../peers/node-fs.mjs'

const SIZE = 64
const WARM_UP = 2000
const WARM_UP_SHARE = 0.2
const NOTHING_MS = 1000
const OPEN = { fsq: openFsq, 'fs/promises': openNodeFs }

const FORMS = {
  drain: {
    prepare: (store, items) => store.enqueueMany(items),
    run: (store, { items, width }) => store.drain(width, items.length),
    check: (store, taken, items) => store.checkDrained(taken, items),
  },
  enqueue: {
    async prepare() {},
    async run(store, { items }) {
      const ids = []
      for (const item of items) ids.push(await store.enqueue(item))
      return ids
    },
    check: (store, ids, items) => store.checkEnqueued(ids, items),
  },
}

const { contender, folder, count, form, width, durability } = JSON.parse(process.argv[2])
if (contender === 'nothing') {
  say(await delays(folder, () => later(NOTHING_MS)))
} else {
  await measure('warm-up', Math.min(Math.ceil(count * WARM_UP_SHARE), WARM_UP))
  say(await measure('measured', count))
}

async function measure(name, number) {
  const { prepare, run, check } = FORMS[form]
  const place = join(folder, name)
  mkdirSync(place)
  const items = payloads(number, SIZE)
  const store = await OPEN[contender](place, { durability })
  await prepare(store, items)
  const { result, ...measured } = await delays(place, () => run(store, { items, width }))
  check(store, result, items)
  await store.close()
  rmSync(place, { recursive: true })
  return measured
}

/** The delays of a timer of 1 ms beside `run`, in milliseconds. */
async function delays(place, run) {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  const { milliseconds, result } = await timed(place, async () => {
    histogram.enable()
    const value = await run()
    histogram.disable()
    return value
  })
  const at = (percentile) => histogram.percentile(percentile) / 1e6
  return { result, milliseconds, timers: histogram.count, p50: at(50), p99: at(99), max: histogram.max / 1e6 }
}

function say(measured) {
  process.stdout.write(`${JSON.stringify(measured)}\n`)
}
