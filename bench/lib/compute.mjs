import { performance } from 'node:perf_hooks'

const PROBE = 100_000
const PROBES = 50

let sink = 0

/** Computes so many steps: a fixed amount of work, as bench/floor/compute.cc has it. */
export function compute(steps) {
  let value = 2463534242
  for (let step = 0; step < steps; step++) {
    value ^= value << 13
    value ^= value >>> 17
    value ^= value << 5
  }
  sink = value
  return sink
}

/** How many steps take so many microseconds here: by the fastest of many, as the others were interrupted. */
export function stepsFor(microseconds) {
  if (microseconds === 0) return 0
  let best = Infinity
  for (let probe = 0; probe < PROBES; probe++) {
    const begin = performance.now()
    compute(PROBE)
    best = Math.min(best, performance.now() - begin)
  }
  return Math.round((PROBE * microseconds) / (best * 1000))
}
