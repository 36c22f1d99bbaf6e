/**
 * The findings of `fsq audit` and `fsq repair`.
 *
 * @module
 */
import { auditQueue, leftoversIn } from '../inspect/audit.js'
import type { LocatedFinding } from '../inspect/finding.js'
import type { QueueSurvey } from '../inspect/queues.js'
import { Slices } from '../inspect/slices.js'
import type { Settings } from '../settings.js'
import { surveyOf } from './queues.js'

/** An audit of the queues with these names, or of all of them and the directory that they are in. */
export class Audit {
  readonly #settings: Settings
  readonly #isOfAll: boolean
  readonly #survey: QueueSurvey

  constructor(names: readonly string[], settings: Settings) {
    this.#settings = settings
    this.#isOfAll = names.length === 0
    this.#survey = surveyOf(names, settings)
  }

  /** Whether all queues could be read; after {@link findings}. */
  get isWhole(): boolean {
    return this.#survey.isComplete
  }

  async *findings(): AsyncGenerator<LocatedFinding, void, undefined> {
    const slices = new Slices()
    yield* this.#survey.each((layout) => auditQueue(layout, this.#settings, slices))
    if (this.#isOfAll) yield* leftoversIn(this.#settings)
  }
}
