/**
 * The parts of a queue handle that its items and scans use.
 *
 * @module
 */
import type { QueueDirectory } from '../directory/open-directory.js'
import type { Reporter } from '../report.js'
import type { Settings } from '../settings.js'
import type { Claims } from './claims.js'
import type { DeadWorkers } from './dead-workers.js'

export interface ItemContext {
  readonly directory: QueueDirectory
  readonly settings: Settings
  readonly claims: Claims
  readonly deadWorkers: DeadWorkers
  readonly reporter: Reporter
}
