/**
 * The queues that a receiver fills, and what is open of them.
 *
 * @module
 */
import path from 'node:path'

import {
  type Intake,
  Queue,
  type Report,
  type SettingOverrides,
  type Settings,
  openIntake,
} from '../index.js'
import { serverFault } from './faults.js'

/** The source of pushed items, for `received/push/`. */
const SOURCE = 'push'

interface Target {
  readonly queue: Queue
  intake: Promise<Intake>
}

export interface TargetsOptions {
  readonly queues: readonly string[] | 'all'
  readonly settings: SettingOverrides
  /** Milliseconds. */
  readonly keep: number
  readonly onReport: (report: Report) => void
}

export class Targets {
  readonly #options: TargetsOptions
  readonly #targets = new Map<string, Target>()
  #isClosed = false

  /** Those that all queues have. */
  readonly settings: Settings

  /** @throws {@link SettingError} */
  constructor(options: TargetsOptions) {
    this.#options = options
    this.settings = this.#make('settings').settings
    // A name that no queue can have is an error now, not at each request.
    if (options.queues !== 'all') for (const name of options.queues) this.#make(name)
  }

  /** Brings an item into a queue. @throws As {@link Intake.take}; a {@link Fault} for a queue that is not allowed. */
  async take(
    name: unknown,
    id: Parameters<Intake['take']>[0],
    contents: Parameters<Intake['take']>[1],
  ): Promise<void> {
    this.#check(name)
    const intake = await this.#intake(name)
    await intake.take(id, contents)
  }

  /** Pulls a trigger of a queue: of the queue itself, or of its hosts. */
  async pull(name: unknown, trigger: unknown, ignoreListener: boolean): Promise<void> {
    this.#check(name)
    const { settings } = this
    if (trigger !== settings.trigger && trigger !== settings.hostsTrigger)
      throw serverFault('no such trigger')
    // No two settings have one name.
    const names = trigger === settings.trigger ? {} : { trigger, hostsTrigger: settings.trigger }
    await using queue = this.#make(name, names)
    await queue.triggerPull({ ignoreListener })
  }

  async isDown(name: unknown, host: unknown): Promise<boolean> {
    this.#check(name)
    await using queue = this.#make(name)
    await queue.isEmpty()
    if (host === null || host === undefined) return await queue.isDown()
    if (typeof host !== 'string') throw serverFault('no such host')
    await using hosted = this.#make(host, { root: path.join(queue.path, queue.settings.hosts) })
    await hosted.isEmpty()
    return await hosted.isDown()
  }

  /** Takes nothing more. Items in flight still come in. */
  refuse(): void {
    this.#isClosed = true
  }

  /** Closes all queues, when what is in flight has ended. */
  async close(): Promise<void> {
    this.refuse()
    for (const { queue, intake } of this.#targets.values()) {
      await intake.then(
        async (opened) => opened.close(),
        () => undefined,
      )
      await queue.close()
    }
  }

  #check(name: unknown): asserts name is string {
    const { queues } = this.#options
    if (typeof name !== 'string' || (queues !== 'all' && !queues.includes(name)))
      throw serverFault('no such queue')
  }

  async #intake(name: string): Promise<Intake> {
    if (this.#isClosed) throw serverFault('the receiver is closing')
    let target = this.#targets.get(name)
    if (target === undefined) {
      const queue = this.#make(name)
      target = { queue, intake: this.#open(queue) }
      this.#targets.set(name, target)
    }
    const opening = target.intake
    const intake = await this.#opened(target, opening)
    if (intake.isSound()) return intake
    if (target.intake === opening) target.intake = this.#reopen(target.queue, intake)
    return this.#opened(target, target.intake)
  }

  async #opened(target: Target, opening: Promise<Intake>): Promise<Intake> {
    try {
      return await opening
    } catch (error) {
      // A queue that does not exist leaves nothing in memory.
      if (target.intake === opening && this.#targets.get(target.queue.name) === target) {
        this.#targets.delete(target.queue.name)
        await target.queue.close()
      }
      throw error
    }
  }

  async #open(queue: Queue): Promise<Intake> {
    return openIntake(queue, SOURCE, this.#options.keep)
  }

  async #reopen(queue: Queue, intake: Intake): Promise<Intake> {
    await intake.close()
    return this.#open(queue)
  }

  #make(name: string, more: SettingOverrides = {}): Queue {
    const { settings, onReport } = this.#options
    return new Queue(name, { ...settings, ...more, onReport })
  }
}
