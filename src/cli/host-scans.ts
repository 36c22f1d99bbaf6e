/**
 * Scans the queues of hosts: one scan for each, which share the places for programs. With `--follow`, hosts that are added or taken
 * up later are scanned, too.
 *
 * @module
 */
import { setTimeout as later } from 'node:timers/promises'

import { isDownSync } from '../directory/claim-kind.js'
import { hostLayouts, hostsOf } from '../directory/hosts.js'
import { type Layout, hostLayoutOf } from '../directory/layout.js'
import { QueueDownError, QueueMissingError } from '../errors/classes.js'
import { Queue } from '../queue.js'
import type { ReportListener } from '../report.js'
import { type SettingOverrides, type Settings, resolveSettings } from '../settings.js'
import { explain } from './advice.js'
import { say } from './output.js'
import { Places, ScanShare } from './scan-share.js'
import { Scanner, type ScannerOptions, shareOptions } from './scanner.js'

/** From one look for new hosts to the next, in milliseconds. */
const LOOK_MS = 1000

export class HostScans {
  readonly #queue: Layout
  readonly #settings: Settings
  readonly #overrides: SettingOverrides
  readonly #options: ScannerOptions
  /** `undefined`: all hosts. */
  readonly #names: readonly string[] | undefined
  readonly #share: ScanShare
  readonly #running = new Map<string, Promise<void>>()
  /** The hosts that are down, of which a message has told. */
  readonly #isDown = new Set<string>()
  readonly #skipped = new Set<string>()
  /** What was told last of the hosts that cannot be scanned: each look finds it again. */
  readonly #told = new Map<string, string>()

  /** @param names - The hosts that the command line names. Default: all there are. */
  constructor(
    queue: Layout,
    overrides: SettingOverrides,
    options: ScannerOptions,
    names: readonly string[] | undefined,
  ) {
    this.#queue = queue
    this.#settings = resolveSettings(overrides)
    this.#overrides = overrides
    this.#options = options
    this.#names = names
    this.#share = new ScanShare(shareOptions(options), new Places(options.jobs))
  }

  /** @returns The exit code. */
  async run(): Promise<number> {
    const first = await hostLayouts(this.#queue, this.#settings, this.#names, (file) => {
      this.#saySkipped(file)
    })
    return this.#share.run(async () => {
      const { stop } = this.#share
      for (const host of first) this.#begin(host)
      while (this.#options.isFollowing && !stop.isStopped()) {
        await later(LOOK_MS, undefined, { signal: stop.signal }).catch(() => undefined)
        if (!stop.isStopped()) await this.#look()
      }
      await Promise.all(this.#running.values())
    })
  }

  /** Begins the scans of hosts that were not there or not up. */
  async #look(): Promise<void> {
    try {
      const hosts = await hostsOf(this.#queue, this.#settings, (file) => {
        this.#saySkipped(file)
      })
      for (const name of hosts)
        if (this.#names === undefined || this.#names.includes(name))
          this.#begin(hostLayoutOf(this.#queue, name, this.#settings))
    } catch (error) {
      this.#share.stop.fail(explain(error))
    }
  }

  #begin(host: Layout): void {
    const { name } = host
    if (this.#running.has(name)) {
      // It has lived since the last look.
      this.#told.delete(name)
      return
    }
    try {
      // A host that was named on the command line is to be scanned: its scan tells that it is down.
      if (this.#names === undefined && this.#isHostDown(host)) return
    } catch (error) {
      this.#tell(host, explain(error))
      return
    }
    const openQueue = (onReport: ReportListener): Queue =>
      new Queue(this.#queue.name, { ...this.#overrides, onReport }).host(name)
    const scanner = new Scanner(openQueue, { ...this.#options, host: name }, this.#share)
    const scan = scanner
      .scan((error) => {
        this.#onError(host, error)
      })
      .finally(() => this.#running.delete(name))
    this.#running.set(name, scan)
  }

  #isHostDown(host: Layout): boolean {
    // While the queue itself is down, the scan of the first host says so.
    if (this.#isQueueDown() || !isDownSync(host)) {
      this.#isDown.delete(host.name)
      return false
    }
    if (!this.#isDown.has(host.name)) say(`the host '${host.name}' is down, and is skipped`)
    this.#isDown.add(host.name)
    return true
  }

  #isQueueDown(): boolean {
    try {
      return isDownSync(this.#queue)
    } catch {
      // The next look tells of a queue that cannot be looked at.
      return false
    }
  }

  #onError(host: Layout, error: unknown): void {
    const { stop } = this.#share
    const isOfHost = this.#names === undefined && !this.#isQueueDown()
    if (error instanceof QueueDownError && isOfHost) {
      this.#isHostDown(host)
      return
    }
    // Removed while it was scanned.
    const isRemoved = error instanceof QueueMissingError && this.#options.isFollowing
    if (isRemoved && isOfHost) return
    // The scans of the other hosts go on, unless there is nothing that they could do.
    if (error instanceof QueueDownError || isRemoved) stop.fail(explain(error))
    else this.#tell(host, explain(error))
  }

  /** Says, once, that a host cannot be scanned. */
  #tell({ name }: Layout, message: string): void {
    if (this.#told.get(name) === message) return
    this.#told.set(name, message)
    this.#share.stop.tell(message)
  }

  #saySkipped(file: string): void {
    if (this.#skipped.has(file)) return
    this.#skipped.add(file)
    say(`${file} is no directory, and so no host: it is skipped`)
  }
}
