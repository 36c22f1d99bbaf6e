/**
 * The source of a receiver, as its worker sees it: it hands out deliveries while the queue can take items.
 *
 * @module
 */
import { QueueClosedError, QueueDownError } from '../errors/classes.js'
import type { Outage, Source, SourceScan, SourceScanOptions } from '../work/source.js'
import type { Delivery, DeliverySource } from './delivery.js'

/** A source that stops while the queue is in trouble. */
export class GuardedSource<Item extends Delivery> implements Source<Item> {
  readonly #source: DeliverySource<Item>
  readonly #enter: () => Promise<void>
  /** The error of the queue that the next call of a scan throws. */
  #trouble: { readonly error: unknown } | undefined
  /** Ends the wait for the next delivery. */
  #interrupt: ((error: unknown) => void) | undefined
  readonly #errors = new WeakSet<object>()

  /** @param enter - Called ahead of each scan. Rejects while the queue can take no items. */
  constructor(source: DeliverySource<Item>, enter: () => Promise<void>) {
    this.#source = source
    this.#enter = enter
  }

  async open(): Promise<void> {
    await this.#source.open?.()
  }

  /** The queue has refused an item: the scan ends with the error, and the next one begins after a pause. */
  fail(error: unknown): void {
    if (this.#interrupt === undefined) this.#trouble ??= { error }
    else this.#interrupt(error)
  }

  scan(options: SourceScanOptions): SourceScan<Item> {
    let deliveries: SourceScan<Item> | undefined
    let iterator: AsyncIterator<Item> | undefined
    const begin = async (): Promise<AsyncIterator<Item>> => {
      this.#trouble = undefined
      await this.#enter().catch((error: unknown) => this.#throw(error))
      deliveries = this.#source.scan(options)
      return deliveries[Symbol.asyncIterator]()
    }
    const leave = async (): Promise<IteratorResult<Item>> => {
      await iterator?.return?.()
      return { done: true, value: undefined }
    }
    const check = (): void => {
      if (this.#trouble === undefined) return
      const { error } = this.#trouble
      this.#trouble = undefined
      void leave().catch(() => undefined)
      this.#throw(error)
    }
    const next = async (): Promise<IteratorResult<Item>> => {
      iterator ??= await begin()
      check()
      try {
        return await this.#next(iterator)
      } catch (error) {
        if (this.#isOurs(error)) void leave().catch(() => undefined)
        throw error
      }
    }
    return {
      [Symbol.asyncIterator]: () => ({ next, return: leave }),
      tryNext: () => {
        check()
        return deliveries?.tryNext?.()
      },
    }
  }

  outageOf(error: unknown): Outage | 'closed' {
    if (!this.#isOurs(error)) return this.#source.outageOf?.(error) ?? 'missing'
    if (error instanceof QueueClosedError) return 'closed'
    return error instanceof QueueDownError ? 'down' : 'missing'
  }

  async #next(iterator: AsyncIterator<Item>): Promise<IteratorResult<Item>> {
    const answer = iterator.next()
    return new Promise((resolve, reject) => {
      this.#interrupt = (error) => {
        this.#interrupt = undefined
        this.#mark(error)
        // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- any value can be thrown
        reject(error)
        // A source may throw where it should reject.
        answer.then(giveBack).catch(() => undefined)
      }
      const isCurrent = this.#interrupt
      answer.then(
        (result) => {
          if (this.#interrupt === isCurrent) this.#interrupt = undefined
          resolve(result)
        },
        (error: unknown) => {
          if (this.#interrupt === isCurrent) this.#interrupt = undefined
          // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- any value can be thrown
          reject(error)
        },
      )
    })
  }

  #throw(error: unknown): never {
    this.#mark(error)
    throw error
  }

  #mark(error: unknown): void {
    if (typeof error === 'object' && error !== null) this.#errors.add(error)
  }

  #isOurs(error: unknown): boolean {
    return typeof error === 'object' && error !== null && this.#errors.has(error)
  }
}

async function giveBack<Item extends Delivery>(result: IteratorResult<Item>): Promise<void> {
  if (result.done !== true) await result.value.release()
}
