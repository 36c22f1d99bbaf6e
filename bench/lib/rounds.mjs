import { rmSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc')

/**
 * Measures contenders by turns, A B A B ..., after a round that does not count.
 *
 * @param contenders - Each `{ measure(folder, items) }`, which gives the milliseconds that the items took.
 * @returns For each contender its items a second, one value a round.
 */
export async function interleave(contenders, { items, warmUp, rounds, folder }) {
  const rates = contenders.map(() => [])
  for (let round = -1; round < rounds; round++) {
    const count = round === -1 ? Math.min(warmUp, items) : items
    for (const [index, contender] of contenders.entries()) {
      const place = folder.make()
      const milliseconds = await contender.measure(place, count)
      rmSync(place, { recursive: true })
      if (round >= 0) rates[index].push((count * 1000) / milliseconds)
    }
  }
  return rates
}

/** Milliseconds that `run` took, and what it gave. */
export async function timed(run) {
  collectGarbage()
  const begin = performance.now()
  const result = await run()
  return { milliseconds: performance.now() - begin, result }
}
