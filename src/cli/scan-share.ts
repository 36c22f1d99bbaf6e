/**
 * What the scans of several host queues share: the stop, the messages, the rate and the places for programs. A scan of one queue has them
 * for itself.
 *
 * @module
 */
import { FAILED_ITEMS, FAILURE, SUCCESS } from './command.js'
import { Rate } from './rate.js'
import { ScanMessages } from './scan-messages.js'
import { ScanStop } from './scan-stop.js'

/** Places for programs, given in the order in which they are asked for. */
export class Places {
  #free: number
  readonly #waiting: (() => void)[] = []

  constructor(count: number) {
    this.#free = count
  }

  /** Resolves when the caller has a place. */
  async take(): Promise<void> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }

  give(count: number): void {
    this.#free += count
    while (this.#free > 0) {
      const next = this.#waiting.shift()
      if (next === undefined) return
      this.#free--
      next()
    }
  }
}

/** How the scans of a command run together. */
export interface ShareOptions {
  /** Programs started in a second. 0 or less: no limit. */
  readonly rate: number
  readonly isVerbose: boolean
  /** Whether to say that nothing can be written beside the items. */
  readonly saysOfMeta: boolean
  /** The exit code tells whether items have failed. */
  readonly hasExitCode: boolean
}

export class ScanShare {
  readonly stop = new ScanStop()
  readonly messages: ScanMessages
  readonly rate: Rate
  /** `undefined`: there is one scan, whose pool has them. */
  readonly places: Places | undefined
  readonly #hasExitCode: boolean

  constructor({ rate, isVerbose, saysOfMeta, hasExitCode }: ShareOptions, places?: Places) {
    this.messages = new ScanMessages(this.stop, isVerbose, saysOfMeta)
    this.rate = new Rate(rate)
    this.places = places
    this.#hasExitCode = hasExitCode
    // A scan that waits for a place must end, too.
    this.stop.onStop(() => places?.give(Number.MAX_SAFE_INTEGER))
  }

  /** Runs scans until all have ended. @returns The exit code. */
  async run(work: () => Promise<void>): Promise<number> {
    this.stop.listen()
    try {
      await work()
    } finally {
      this.stop.stopListening()
    }
    if (this.stop.hasFailed) return FAILURE
    if (!this.#hasExitCode) return SUCCESS
    if (this.messages.failed > 0) return FAILED_ITEMS
    return this.messages.left > 0 ? FAILURE : SUCCESS
  }
}
