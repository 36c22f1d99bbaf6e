import { execFileSync } from 'node:child_process'
import { rmSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc')

/**
 * Measures contenders alternately, A B A B ..., after a round that does not count.
 *
 * @param contenders - Each has `measure(folder, items)`, which returns the milliseconds for the items; optionally
 * `items`, if it processes fewer than the others; and optionally `begin` and `end`, which are called before and after
 * all rounds.
 * @returns For each contender its items per second, one value for each round.
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

/** How many milliseconds `run` took, and its result, on the file system of this folder. */
export async function timed(folder, run) {
  settle(folder)
  const begin = performance.now()
  const result = await run()
  return { milliseconds: performance.now() - begin, result }
}

/** Clears leftovers of earlier work that the next measurement would pay for: garbage and unwritten files. */
export function settle(folder) {
  // Young garbage only: a full collection also discards compiled code, and everything would be measured while it is
  // compiled again.
  collect({ type: 'minor' })
  execFileSync('sync', ['-f', folder])
}
