import { randomBytes } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'

import { Objm } from '@nats-io/obj'
import { Queue } from 'fsq'
import { consumerConfig, streamConfig } from 'fsq/nats'

import { Child, type Line, argsIn, makeDirectory } from '../support/child.js'
import { NatsServer } from '../support/nats-server.js'

const LARGE = 1_200_000
const ACK_WAIT = 1000

export const ROLES = ['forward', 'receive', 'work'] as const
export type Role = (typeof ROLES)[number]
/** How the chain is made: as it should be, with or without the option `strict`, or with something missing. */
export type Variant = 'whole' | 'strict' | 'no-ids' | 'no-ledger'

/** A queue whose items go through a stream to another queue, which a worker works: all in processes of their own. */
export class Chain implements AsyncDisposable {
  readonly variant: Variant
  readonly #root: string
  readonly #server: NatsServer
  readonly #from: Queue
  readonly #children = new Map<Role, Child>()
  /** With which probability the processes kill themselves at each crash point. */
  crash: number
  readonly kills = { forward: 0, receive: 0, work: 0, server: 0, themselves: 0 }
  /** What the processes have said that were killed. */
  readonly said: Line[] = []
  enqueued = 0
  #isOver = false

  private constructor(variant: Variant, crash: number, root: string, server: NatsServer, from: Queue) {
    this.variant = variant
    this.crash = crash
    this.#root = root
    this.#server = server
    this.#from = from
  }

  static async start(variant: Variant, crash: number): Promise<Chain> {
    const root = makeDirectory()
    const from = await Queue.install('from', { root, durability: 'none' })
    await (await Queue.install('to', { root, durability: 'none' })).close()
    const server = await NatsServer.start()
    const jsm = await server.manager()
    await jsm.streams.add(
      streamConfig({ stream: 'S', subject: 'fsq.q', replicas: 1, strict: variant === 'strict' }),
    )
    await jsm.consumers.add('S', consumerConfig({ consumer: 'C', ackWait: ACK_WAIT }))
    await new Objm(await server.connect({ maxReconnectAttempts: -1 })).create('B')
    const chain = new Chain(variant, crash, root, server, from)
    for (const role of ROLES) chain.#run(role)
    return chain
  }

  /** Adds items whose only argument is their number. Every two-hundredth is larger than a message may be. */
  async enqueue(count: number): Promise<void> {
    const first = this.enqueued
    this.enqueued += count
    await this.#from.enqueueMany(
      Array.from({ length: count }, (_, index) => {
        const number = first + index
        return {
          data: number % 200 === 7 ? randomBytes(LARGE) : `item ${number}`,
          args: [String(number)],
        }
      }),
    )
  }

  /** Kills one part. It is started again at once. */
  async kill(part: Role | 'server'): Promise<void> {
    this.kills[part]++
    if (part === 'server') {
      await this.#server.kill()
      await this.#server.start()
      return
    }
    const child = this.#children.get(part)
    child?.kill()
    await child?.ended
  }

  /** The numbers of the items in these directories of the receiving queue. */
  arrived(...where: readonly ('queue' | 'done' | 'fail')[]): readonly number[] {
    return where
      .flatMap((directory) => fs.readdirSync(path.join(this.#root, 'to', directory)))
      .map((name) => Number(argsIn(name)[0]))
  }

  /** Those that have arrived more than once. */
  twice(): readonly number[] {
    const seen = new Set<number>()
    return this.arrived('queue', 'done', 'fail').filter((number) => seen.size === seen.add(number).size)
  }

  /** Whether nothing is under way any more. */
  async isEmpty(): Promise<boolean> {
    const { waiting } = await this.#from.counts()
    if (waiting > 0 || this.arrived('queue').length > 0) return false
    const jsm = await this.#server.manager()
    const { num_pending, num_ack_pending } = await jsm.consumers.info('S', 'C')
    return num_pending === 0 && num_ack_pending === 0
  }

  /** The items of the sending queue that have failed. */
  failed(): readonly string[] {
    return fs.readdirSync(path.join(this.#root, 'from', 'fail'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isOver = true
    await Promise.all(
      [...this.#children.values()].map(async (child) => {
        child.kill()
        await child.ended
      }),
    )
    await this.#from.close()
    await this.#server.remove()
    fs.rmSync(this.#root, { recursive: true, force: true })
  }

  #run(role: Role): void {
    const child = new Child('nats-chaos.mjs', {
      role,
      root: this.#root,
      servers: this.#server.url,
      crash: this.crash,
      variant: this.variant,
    })
    this.#children.set(role, child)
    const before = this.kills[role]
    void child.ended.then(({ code, signal }) => {
      this.said.push(...child.lines.filter((line) => !('ready' in line)))
      if (code !== null) this.said.push({ role, code, stderr: child.stderr })
      if (signal === 'SIGKILL' && this.kills[role] === before) this.kills.themselves++
      if (!this.#isOver) this.#run(role)
    })
  }
}
