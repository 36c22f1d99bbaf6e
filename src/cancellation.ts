/**
 * What ends an operation before its time.
 *
 * @module
 */
import { type StopHandle, native } from './addon/native.js'

/** Raised at most once, by a signal or by hand. The native code of the operation looks at it as it goes. */
export class Cancellation {
  readonly handle: StopHandle = native.newStop()
  readonly #signal: AbortSignal | undefined
  #raised: { readonly reason: unknown } | undefined
  #interrupt: ((reason: unknown) => void) | undefined

  /** @param signal - Raises it; {@link end} lets go of it. */
  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
    if (signal === undefined) return
    if (signal.aborted) this.raise(signal.reason)
    else follow(signal, this)
  }

  /** Why it was raised, if it was. */
  get raised(): { readonly reason: unknown } | undefined {
    return this.#raised
  }

  raise(reason: unknown): void {
    if (this.#raised !== undefined) return
    this.#raised = { reason }
    native.setStop(this.handle)
    this.#interrupt?.(reason)
  }

  /** @throws The reason, if it has been raised. */
  check(): void {
    if (this.#raised !== undefined) throw this.#raised.reason
  }

  /** The promise, or a rejection with the reason as soon as there is one. For one promise at a time. */
  wait<Value>(promise: Promise<Value>): Promise<Value> {
    // Not Promise.race(): one that never settles would keep something of each chunk.
    return new Promise((resolve, reject) => {
      this.#interrupt = reject
      promise.then(resolve, reject)
      if (this.#raised !== undefined) this.#interrupt(this.#raised.reason)
    })
  }

  /** Calls back when it is raised. For one callback at a time, and not beside {@link wait}. */
  onRaise(callback: () => void): void {
    this.#interrupt = callback
    if (this.#raised !== undefined) callback()
  }

  end(): void {
    if (this.#signal !== undefined) unfollow(this.#signal, this)
  }
}

interface Followers {
  readonly cancellations: Set<Cancellation>
  readonly onAbort: () => void
}

// One listener a signal: many calls may share one, and Node warns of more than ten.
const followed = new WeakMap<AbortSignal, Followers>()

function follow(signal: AbortSignal, cancellation: Cancellation): void {
  const known = followed.get(signal)
  if (known !== undefined) {
    known.cancellations.add(cancellation)
    return
  }
  const cancellations = new Set([cancellation])
  const onAbort = (): void => {
    for (const one of cancellations) one.raise(signal.reason)
  }
  followed.set(signal, { cancellations, onAbort })
  signal.addEventListener('abort', onAbort)
}

function unfollow(signal: AbortSignal, cancellation: Cancellation): void {
  const known = followed.get(signal)
  known?.cancellations.delete(cancellation)
  if (known === undefined || known.cancellations.size > 0) return
  followed.delete(signal)
  signal.removeEventListener('abort', known.onAbort)
}
