import { checkDrained } from '../lib/check.mjs'
import { payloads } from '../lib/payloads.mjs'
import { timed } from '../lib/rounds.mjs'
import { openFsq } from '../peers/fsq.mjs'
import { openNodeFs } from '../peers/node-fs.mjs'

const IN_FLIGHT = 16

const oneByOne = (store) => store.drain()
const inFlight = (store) => store.drainInFlight(IN_FLIGHT)
const synchronous = async (store) => store.drainSync()

const FORMS = {
  sequential: { run: oneByOne, promises: 'fs/promises awaited' },
  '16 in flight': { run: inFlight, promises: 'fs/promises, 16 in fl.' },
}

/** Rows of taking and finishing items, from the listing of the directory to the last rename. */
export function drainRows({ counts }) {
  return Object.entries(FORMS).flatMap(([form, { run, promises }]) =>
    [64, 4096].map((size) => ({
      name: `drain ${form}`,
      size,
      durability: 'none',
      items: counts.items,
      contenders: [
        contender('fsq', openFsq, run, size),
        contender(promises, openNodeFs, run, size),
        contender('node:fs sync', openNodeFs, synchronous, size),
      ],
    })),
  )
}

function contender(name, open, run, size) {
  return {
    name,
    async measure(folder, count) {
      const items = payloads(count, size)
      const store = await open(folder)
      await store.enqueueMany(items)
      const { milliseconds, result } = await timed(() => run(store))
      await store.close()
      checkDrained(folder, result, items)
      return milliseconds
    },
  }
}
