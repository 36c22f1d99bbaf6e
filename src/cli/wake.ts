/**
 * Waking those who wait, once something has been added.
 *
 * @module
 */
import os from 'node:os'

import { FsqError } from '../errors/classes.js'
import type { Layout } from '../directory/layout.js'
import { pullTrigger } from '../directory/trigger.js'
import { say } from './output.js'

const { ENXIO } = os.constants.errno

/** Pulls the trigger of a queue, and says of it what there is to say, once. */
export class Waker {
  readonly #layout: Layout
  readonly #isAskedFor: boolean
  #hasSaid = false
  #hasFailed = false

  /** @param isAskedFor - By `-t`, not just by the setting: it is an error then if it cannot be pulled. */
  constructor(layout: Layout, isAskedFor: boolean) {
    this.#layout = layout
    this.#isAskedFor = isAskedFor
  }

  /** Whether something that was asked for could not be done. */
  get hasFailed(): boolean {
    return this.#hasFailed
  }

  /** @param added - What has been added, as `the item ID`. Nobody listening is no error: it waits for the next scan. */
  async pull(added: string): Promise<void> {
    try {
      await pullTrigger(this.#layout, {})
    } catch (error) {
      if (!(error instanceof FsqError)) throw error
      const isUnheard = error.errno === -ENXIO
      if (!isUnheard && this.#isAskedFor) this.#hasFailed = true
      if (this.#hasSaid || (isUnheard && !this.#isAskedFor)) return
      this.#hasSaid = true
      if (isUnheard)
        say(`nobody listens to the trigger of ${this.#layout.path}; what is queued waits for a scan`)
      else {
        const { explain } = await import('./advice.js')
        say(`${explain(error)}. Queued all the same, do not enqueue it again: ${added}`)
      }
    }
  }
}
