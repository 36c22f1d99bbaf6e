/**
 * The queue that one loop scans, which stays open until the loop ends.
 *
 * @module
 */
import type { QueueHandle } from '../addon/native.js'
import type { QueueDirectory } from '../directory/open-directory.js'

/** Keeps no reference to the loop, so that an abandoned loop can be garbage-collected. */
export class ScannedQueue {
  readonly #directory: QueueDirectory
  #handle: QueueHandle | undefined

  constructor(directory: QueueDirectory) {
    this.#directory = directory
  }

  /** `undefined`: nothing has been listed yet, or the loop has ended. */
  get handle(): QueueHandle | undefined {
    return this.#handle
  }

  set handle(handle: QueueHandle | undefined) {
    const earlier = this.#handle
    this.#handle = handle
    if (handle !== undefined) this.#directory.beginScan(handle)
    if (earlier !== undefined) this.#directory.endScan(earlier)
  }
}
