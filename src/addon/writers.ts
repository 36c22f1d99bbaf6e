/**
 * The lanes of native code that write large contents, for all queues of this thread.
 *
 * @module
 */

// As many as kWriters of native/bindings/runtime/addon_data.h: two or three write faster than one, and the pool has room left for
// small items.
const loads = [0, 0, 0]

/**
 * Chooses the lane that has the fewest bytes to write.
 *
 * @param bytes - How much is given to it, until {@link leaveWriter}.
 * @returns The number of the lane.
 */
export function takeWriter(bytes: number): number {
  const writer = loads.indexOf(Math.min(...loads))
  addLoad(writer, bytes)
  return writer
}

export function leaveWriter(writer: number, bytes: number): void {
  addLoad(writer, -bytes)
}

function addLoad(writer: number, bytes: number): void {
  loads[writer] = (loads[writer] ?? 0) + bytes
}
