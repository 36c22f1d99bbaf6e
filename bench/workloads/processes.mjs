import { checkTallies } from '../lib/check.mjs'
import { floorDrain, floorEnqueue, stepsFor } from '../lib/floor.mjs'
import { settle } from '../lib/rounds.mjs'
import { WorkerProcess } from '../lib/worker-process.mjs'
import { openFsq } from '../peers/fsq.mjs'

const WIDTH = 16
const SIZE = 64
const FORMS = [
  ...[1, 2, 4, 8].map((processes) => ({ processes, handler: 0 })),
  ...[1, 2].map((processes) => ({ processes, handler: 200 })),
]

/**
 * Rows in which several processes drain one queue, each with 16 items in flight; also with a handler that computes.
 */
export function processesRows({ counts }) {
  return FORMS.map(({ processes, handler }) => ({
    name: `${processes} process${processes === 1 ? '' : 'es'}${handler === 0 ? '' : `, ${handler} us`}`,
    size: SIZE,
    durability: 'none',
    items: handler === 0 ? counts.shared : counts.items,
    contenders: [ours(processes, handler), floorContender(processes, handler)],
  }))
}

function ours(processes, handler) {
  const workers = []
  return {
    name: 'fsq',
    async begin() {
      for (let index = 0; index < processes; index++) workers.push(new WorkerProcess())
    },
    async measure(folder, count) {
      const steps = await stepsOf(handler)
      await fill(folder, count)
      const tallies = await Promise.all(
        workers.map((worker) => worker.drain(folder, { width: WIDTH, steps })),
      )
      checkTallies(folder, tallies, { count, size: SIZE })
      return Math.max(...tallies.map(({ end }) => end)) - Math.min(...tallies.map(({ begin }) => begin))
    },
    async end() {
      await Promise.all(workers.map((worker) => worker.end()))
    },
  }
}

function floorContender(processes, handler) {
  return {
    name: processes === 1 ? 'floor' : `floor, ${processes} processes`,
    async measure(folder, count) {
      const steps = await stepsOf(handler)
      await fill(folder, count)
      const tally = await floorDrain(folder, { processes, steps })
      checkTallies(folder, [tally], { count, size: SIZE })
      return tally.milliseconds
    },
  }
}

async function fill(folder, count) {
  await (await openFsq(folder)).close()
  await floorEnqueue(folder, { count, size: SIZE })
  settle(folder)
}

const calibrated = new Map([[0, 0]])

/**
 * The same number of steps for all processes: on a busy machine, a process that calibrates itself would get less
 * work.
 */
async function stepsOf(handler) {
  if (!calibrated.has(handler)) calibrated.set(handler, await stepsFor(handler))
  return calibrated.get(handler)
}
