/** Computes so many steps: a fixed amount of work, the same and as fast as that of bench/floor/compute.cc. */
export function compute(steps) {
  let value = 2463534242
  for (let step = 0; step < steps; step++) {
    value ^= value << 13
    value ^= value >>> 17
    value ^= value << 5
  }
  return value
}
