/**
 * Gives the items of a queue to its hosts (fsq standard, section 12): each host gets a copy of each item under the same name. An item
 * moves to done/ only when every host has it. Until then it stays in queue/, without a try counted.
 *
 * A process that dies between two hosts leaves the item in queue/. The next distribution looks what the hosts have already, so that each
 * gets the item once. That look is right only while nothing else distributes: so a distribution holds a lock on the directory of the hosts.
 *
 * @module
 */
import { type Layout, hostsPath, hostsTriggerPath } from '../directory/layout.js'
import { hostLayouts } from '../directory/hosts.js'
import { pullQuietly } from '../directory/trigger.js'
import { FsqError, SettingError } from '../errors/classes.js'
import type { InFlight } from '../in-flight.js'
import type { ItemContext } from '../item/context.js'
import type { WorkItem } from '../item/work-item.js'
import { type FileLock, lock } from '../lock.js'
import { checkFlag, checkOptions, checkSignal } from '../options.js'
import { type ScanOptions, scanQueue } from '../scan/options.js'
import { Copier, type Outgoing, outgoingOf } from './copier.js'
import { type Delivered, findDelivered } from './delivered.js'

/** Options of {@link Queue.distribute}. */
export interface DistributeOptions extends Pick<ScanOptions, 'maxTries' | 'ttl' | 'onReport' | 'signal'> {
  /** The names of the hosts that get the items, each counted once. Default: all hosts there are when the call begins. */
  readonly hosts?: readonly string[] | undefined
  /**
   * Gives the hosts hard links instead of copies. All of them then share one file, with one lock, one mode and one content: hosts work an
   * item one after the other. Default: false.
   */
  readonly link?: boolean | undefined
  /** Leaves the items in queue/. A host that has an item, or has it in done/ or fail/, does not get it again. Default: false. */
  readonly keep?: boolean | undefined
  /** Pulls the trigger that the hosts share, if any host has got an item. Default: false. */
  readonly trigger?: boolean | undefined
}

/** The outcome of {@link Queue.distribute}. */
export interface Distributed {
  /** How many items all the hosts have now. */
  readonly distributed: number
  /** How many items stay in queue/, because a host could not take them. Another call tries them again. */
  readonly left: number
  /** By the name of the host, what kept it from taking an item: the first error of each. */
  readonly errors: ReadonlyMap<string, FsqError>
  /** Why the trigger could not be pulled. That nothing listens to it is no error. */
  readonly triggerError?: FsqError | undefined
}

/** What the command wants to tell of, besides the outcome. */
export interface DistributeHooks {
  /** Called for each item that all the hosts have. */
  readonly onDistributed?: (item: WorkItem) => void
  /** Called with the path of each entry among the hosts that is no directory. */
  readonly onSkipped?: (file: string) => void
}

const OPTIONS = ['hosts', 'link', 'keep', 'trigger', 'maxTries', 'ttl', 'onReport', 'signal'] as const
/** Items that are given to a host in one call, and share its fsyncs. */
const BATCH = 64
/** While one batch is given to the hosts, the next one is claimed. */
const BATCHES_IN_FLIGHT = 2

/** {@link Queue.distribute}. */
export async function distribute(
  context: ItemContext,
  scans: InFlight,
  options: DistributeOptions,
  hooks: DistributeHooks = {},
): Promise<Distributed> {
  const { hosts: names, signal } = checked(options)
  context.directory.checkOpen()
  const { layout } = context.directory
  const { settings } = context
  const hosts = await hostLayouts(layout, settings, names, hooks.onSkipped)
  const held = await lockHosts(context, signal)
  const run = new Run(context, hosts, options, hooks, held !== undefined)
  try {
    return await run.all(scans)
  } finally {
    run.close()
    held?.unlock()
  }
}

/** Waits until no other process distributes, or until the handle of the queue is closed. */
async function lockHosts(
  { directory, settings }: ItemContext,
  signal: AbortSignal | undefined,
): Promise<FileLock | undefined> {
  directory.checkOpen()
  const closing = new AbortController()
  const stopListening = directory.onClose(() => {
    closing.abort(directory.closedError())
  })
  const signals = signal === undefined ? [closing.signal] : [closing.signal, signal]
  try {
    return await lock(hostsPath(directory.layout, settings), { signal: AbortSignal.any(signals) })
  } catch (error) {
    directory.checkOpen()
    // Some file systems lock no directories. Then the look is made again for each batch.
    if (error instanceof FsqError) return undefined
    throw error
  } finally {
    stopListening()
  }
}

function checked(options: DistributeOptions): DistributeOptions {
  checkOptions('distribute', options, OPTIONS)
  const { hosts, link = false, keep = false, trigger = false, signal } = options
  checkFlag('link', link)
  checkFlag('keep', keep)
  checkFlag('trigger', trigger)
  checkSignal(signal)
  if (hosts !== undefined && (!Array.isArray(hosts) || hosts.length === 0))
    throw new SettingError('hosts', hosts, 'an array of the names of hosts, or undefined for all')
  return options
}

/** An item of the queue on its way. */
type Sent = Outgoing & { readonly item: WorkItem }

/** Runs calls that read from the descriptors of items. These stay open meanwhile, also if the handle of the queue is closed. */
async function whileOpen<Result>(
  [first, ...others]: readonly WorkItem[],
  run: () => Promise<Result>,
): Promise<Result> {
  return first === undefined ? run() : first.whileRead(async () => whileOpen(others, run))
}

/** One distribution. */
class Run {
  readonly #context: ItemContext
  readonly #options: DistributeOptions
  readonly #hooks: DistributeHooks
  readonly #hosts: readonly Layout[]
  readonly #copiers: readonly Copier[]
  readonly #isAlone: boolean
  readonly #errors = new Map<string, FsqError>()
  #delivered: Promise<Delivered> | undefined
  #distributed = 0
  #left = 0
  #triggerError: FsqError | undefined

  constructor(
    context: ItemContext,
    hosts: readonly Layout[],
    options: DistributeOptions,
    hooks: DistributeHooks,
    isAlone: boolean,
  ) {
    this.#context = context
    this.#options = options
    this.#hooks = hooks
    this.#hosts = hosts
    this.#isAlone = isAlone
    this.#copiers = hosts.map((host) => new Copier(host, context.settings, options.link === true))
  }

  close(): void {
    for (const copier of this.#copiers) copier.close()
  }

  async all(scans: InFlight): Promise<Distributed> {
    const { maxTries, ttl, onReport, signal } = this.#options
    const items = scanQueue(
      this.#context,
      scans,
      { maxTries, ttl, onReport, signal, prefetch: BATCH },
      false,
      { handsOver: true },
    )
    const inFlight = new Set<Promise<void>>()
    const held = new Set<WorkItem>()
    const failures: unknown[] = []
    const send = async (batch: readonly WorkItem[]): Promise<void> => {
      const sending: Promise<void> = this.#give(batch)
        .catch((error: unknown) => {
          failures.push(error)
          for (const item of batch) item.release()
        })
        .finally(() => {
          inFlight.delete(sending)
          for (const item of batch) held.delete(item)
        })
      inFlight.add(sending)
      if (inFlight.size >= BATCHES_IN_FLIGHT) await Promise.race(inFlight)
      if (failures.length > 0) throw failures[0]
    }
    let batch: WorkItem[] = []
    try {
      for await (const item of items) {
        held.add(item)
        batch.push(item)
        if (batch.length < BATCH) continue
        const full = batch
        batch = []
        await send(full)
      }
      if (batch.length > 0) await send(batch)
    } finally {
      await Promise.all(inFlight)
      for (const item of held) item.release()
    }
    if (failures.length > 0) throw failures[0]
    return {
      distributed: this.#distributed,
      left: this.#left,
      errors: this.#errors,
      triggerError: this.#triggerError,
    }
  }

  async #give(batch: readonly WorkItem[]): Promise<void> {
    const delivered = await this.#findDelivered()
    const isLeft = new Set<WorkItem>()
    const given = await whileOpen(batch, async () => {
      const outgoing: readonly Sent[] = await Promise.all(
        batch.map(async (item) => ({ item, ...(await outgoingOf(item, this.#options.link === true)) })),
      )
      // Not all(): no copy may still read when the descriptors are closed.
      const outcomes = await Promise.allSettled(
        this.#copiers.map(async (copier) =>
          this.#giveTo(copier, outgoing, delivered.get(copier.layout.path), isLeft),
        ),
      )
      let sum = 0
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') throw outcome.reason
        sum += outcome.value
      }
      return sum
    })
    await Promise.all(batch.map(async (item) => this.#settle(item, isLeft.has(item))))
    if (given > 0 && this.#options.trigger === true) this.#pull()
  }

  /** @returns How many items the host has got. */
  async #giveTo(
    copier: Copier,
    outgoing: readonly Sent[],
    looked: ReadonlyMap<string, boolean> | FsqError | undefined,
    isLeft: Set<WorkItem>,
  ): Promise<number> {
    let given = 0
    const known = looked instanceof FsqError ? undefined : looked
    const isKnown = ({ item }: Sent): boolean => known?.has(item.rawKey) === true
    const missing =
      known === undefined || known.size === 0 ? outgoing : outgoing.filter((one) => !isKnown(one))
    const keep = (sent: Sent | undefined, problem: FsqError): void => {
      if (sent !== undefined) isLeft.add(sent.item)
      const { name } = copier.layout
      if (!this.#errors.has(name)) this.#errors.set(name, problem)
    }
    const problems = looked instanceof FsqError ? missing.map(() => looked) : await copier.give(missing)
    problems.forEach((problem, index) => {
      if (problem === undefined) given++
      else keep(missing[index], problem)
    })
    for (const one of outgoing) {
      const problem = known?.get(one.item.rawKey) === true ? await copier.compare(one) : undefined
      if (problem !== undefined) keep(one, problem)
    }
    return given
  }

  async #settle(item: WorkItem, isLeft: boolean): Promise<void> {
    if (isLeft || this.#options.keep === true) item.release()
    else await item.done()
    if (isLeft) this.#left++
    else {
      this.#distributed++
      this.#hooks.onDistributed?.(item)
    }
  }

  async #findDelivered(): Promise<Delivered> {
    const { directory, settings } = this.#context
    if (!this.#isAlone) return findDelivered(directory.layout, this.#hosts, settings)
    return (this.#delivered ??= findDelivered(directory.layout, this.#hosts, settings))
  }

  #pull(): void {
    const { directory, settings } = this.#context
    const { layout } = directory
    this.#triggerError ??= pullQuietly({ ...layout, triggerPath: hostsTriggerPath(layout, settings) })
  }
}
