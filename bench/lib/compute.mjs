/** Computes this many steps: a fixed amount of work, the same and as fast as in bench/floor/compute.cc. */
export function compute(steps) {
  // An int32 from the start: as a double it is three times as slow wherever this function is inlined.
  let value = 2463534242 | 0
  for (let step = 0; step < steps; step++) {
    value ^= value << 13
    value ^= value >>> 17
    value ^= value << 5
  }
  return value
}
