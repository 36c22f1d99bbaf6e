import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

/**
 * Measures contenders by turns, A B A B ..., after a round that does not count.
 *
 * @param contenders - Each `{ measure(folder, items) }`, which gives the milliseconds that the items took; `items`: how
 * many it takes, where that is fewer than the others do; `begin` and `end` are called around all rounds.
 * @returns For each contender its items a second, one value a round.
 */
export async function interleave(contenders, { items, warmUp, rounds, folder }) {
  const rates = contenders.map(() => [])
  for (const contender of contenders) await contender.begin?.()
  for (let round = -1; round < rounds; round++) {
    for (const [index, contender] of contenders.entries()) {
      const most = Math.min(items, contender.items ?? items)
      const count = round === -1 ? Math.min(warmUp, most) : most
      const place = folder.make()
      const milliseconds = await contender.measure(place, count)
      rmSync(place, { recursive: true })
      if (round >= 0) rates[index].push((count * 1000) / milliseconds)
    }
  }
  for (const contender of contenders) await contender.end?.()
  return rates
}

/** Milliseconds that `run` took, and what it gave, on the file system of this folder. */
export async function timed(folder, run) {
  settle(folder)
  const begin = performance.now()
  const result = await run()
  return { milliseconds: performance.now() - begin, result }
}

/** Leaves nothing of what was before to be paid for by what comes next: neither garbage nor unwritten files. */
export function settle(folder) {
  // Only what is young: a full collection throws compiled code away, too, and all would be measured while they are compiled anew.
  collect({ type: 'minor' })
  execFileSync('sync', ['-f', folder])
}
