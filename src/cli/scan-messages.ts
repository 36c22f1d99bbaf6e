/**
 * What a scan says of its items, and how many have failed.
 *
 * @module
 */
import { FinishError } from '../errors/classes.js'
import { ageText } from '../inspect/age-text.js'
import type { WorkItem } from '../item/work-item.js'
import type { Crash } from '../item/dead-workers.js'
import type { Report } from '../report.js'
import type { WorkerEvents } from '../work/events.js'
import type { Tell } from '../work/run.js'
import { explain } from './advice.js'
import { say } from './output.js'
import { ProgramError } from './program-error.js'
import type { ScanStop } from './scan-stop.js'

type Events = WorkerEvents<WorkItem>

const WHY_NOT_AGAIN: Readonly<Record<string, string>> = {
  expired: ', as it is past its TTL',
  ungrowable: ', as its name would be too long',
}

/** The messages of one scan. */
export class ScanMessages {
  readonly #stop: ScanStop
  readonly #isVerbose: boolean
  /** Whether to say that nothing can be written beside the items: scans have always run where that is so. */
  readonly #saysOfMeta: boolean
  /** The names of retried items whose delay could not be set, until their retry is told. */
  readonly #undelayed = new Set<string>()
  #failed = 0
  #left = 0

  constructor(stop: ScanStop, isVerbose: boolean, saysOfMeta: boolean) {
    this.#stop = stop
    this.#isVerbose = isVerbose
    this.#saysOfMeta = saysOfMeta
  }

  /** How many items have failed for good. */
  get failed(): number {
    return this.#failed
  }

  /** How many items have failed, and are still in queue/. */
  get left(): number {
    return this.#left
  }

  /** Receives the events of the pool. */
  readonly event: Tell<WorkItem> = (name, ...events) => {
    const [event] = events as unknown[]
    switch (name) {
      case 'started':
        if (this.#isVerbose) say(`working on ${(event as Events['started'][0]).item.id} ...`)
        break
      case 'done':
        if (this.#isVerbose) say(`${(event as Events['done'][0]).item.id}: succeeded`)
        break
      case 'retried':
        this.#tellOfRetry(event as Events['retried'][0])
        break
      case 'failed':
        this.#tellOfFailure(event as Events['failed'][0])
        break
      case 'error':
        this.#stop.tell(explain(event))
        if (event instanceof FinishError) this.#stop.stop()
        break
      default:
        // The other events need no message.
        break
    }
  }

  /** Receives the reports of the queue. */
  report({ type, name, message }: Report): void {
    if (type === 'meta' && !this.#saysOfMeta) return
    say(`${name} ${message}`)
    if (type === 'undelayed') this.#undelayed.add(name)
    if (['malformed', 'expired', 'exhausted'].includes(type)) this.#failed++
    if (['unreadable', 'unmovable'].includes(type)) this.#left++
  }

  crash({ id, host, pid, together }: Crash): void {
    const others = together === 1 ? '' : `, and with ${together - 1} more`
    say(`${id}: the process ${pid} on ${host} has died with this item in hand${others}`)
  }

  #tellOfRetry({ item, error, due }: Events['retried'][0]): void {
    this.#left++
    const { id, why } = failureOf(item.id, error)
    // The report has said that the item is due at once.
    const isUndelayed = this.#undelayed.delete(item.id)
    const seconds = due === undefined || isUndelayed ? 0 : Math.round((due.getTime() - Date.now()) / 1000)
    say(`${id}: failed temporarily (${why}${seconds > 0 ? `; due again in ${ageText(seconds)}` : ''})`)
  }

  #tellOfFailure({ item, id, reason, error }: Events['failed'][0]): void {
    this.#failed++
    if (reason === 'crashed') {
      say(`${id}: failed permanently (too many processes have died with it in hand; it was not run)`)
      return
    }
    const tries = (item?.tries ?? 0) + 1
    const after = reason === 'permanent' ? '' : `, after ${tries} ${tries === 1 ? 'try' : 'tries'}`
    say(`${id}: failed permanently (${failureOf(id, error).why}${after}${WHY_NOT_AGAIN[reason] ?? ''})`)
  }
}

/** The id that the item had, and what is known of its failure. */
function failureOf(id: string, error: unknown): { readonly id: string; readonly why: string } {
  if (error instanceof ProgramError) return error
  return { id, why: error instanceof Error ? error.message : String(error) }
}
