/**
 * Wakes waiting scans after items have been added.
 *
 * @module
 */
import os from 'node:os'

import { FsqError } from '../errors/classes.js'
import { HERE } from '../directory/calls.js'
import type { Layout } from '../directory/layout.js'
import { pullTrigger } from '../directory/trigger.js'
import { say } from './output.js'

const { ENXIO } = os.constants.errno

/** Pulls the trigger of a queue. Prints at most one message about it. */
export class Waker {
  readonly #layout: Layout
  #hasSaid = false
  #hasFailed = false

  constructor(layout: Layout) {
    this.#layout = layout
  }

  /** Whether a pull has failed. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /**
   * Pulls the trigger. A trigger without listeners is no error: the items wait for the next scan.
   *
   * @param added - What has been added, as `the item ID`.
   */
  async pull(added: string): Promise<void> {
    try {
      await pullTrigger(this.#layout, {}, HERE)
    } catch (error) {
      if (!(error instanceof FsqError)) throw error
      const isUnheard = error.errno === -ENXIO
      if (!isUnheard) this.#hasFailed = true
      if (this.#hasSaid) return
      this.#hasSaid = true
      if (isUnheard)
        say(`no process listens to the trigger of ${this.#layout.path}; what is queued waits for a scan`)
      else {
        const { explain } = await import('./advice.js')
        say(`${explain(error)}. Queued all the same, do not enqueue it again: ${added}`)
      }
    }
  }
}
