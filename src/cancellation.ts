/**
 * Cancels one operation: by a signal, or by a call.
 *
 * @module
 */
import { type StopHandle, native } from './addon/native.js'

/** Raised at most once, by an AbortSignal or by {@link raise}. Native code checks it while it works on the operation. */
export class Cancellation {
  readonly handle: StopHandle = native.newStop()
  readonly #signal: AbortSignal | undefined
  #raised: { readonly reason: unknown } | undefined
  #interrupt: ((reason: unknown) => void) | undefined

  /** @param signal - Raises it, until {@link end}. */
  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal
    if (signal === undefined) return
    if (signal.aborted) this.raise(signal.reason)
    else follow(signal, this)
  }

  /** The reason, once it has been raised. */
  get raised(): { readonly reason: unknown } | undefined {
    return this.#raised
  }

  raise(reason: unknown): void {
    if (this.#raised !== undefined) return
    this.#raised = { reason }
    native.setStop(this.handle)
    this.#interrupt?.(reason)
  }

  /** @throws The reason, once it has been raised. */
  check(): void {
    if (this.#raised !== undefined) throw this.#raised.reason
  }

  /** Settles like the promise, or rejects with the reason as soon as it is raised. For one promise at a time. */
  wait<Value>(promise: Promise<Value>): Promise<Value> {
    // Not Promise.race(): a promise that never settles would keep memory for each race that it takes part in.
    return new Promise((resolve, reject) => {
      this.#interrupt = reject
      promise.then(resolve, reject)
      if (this.#raised !== undefined) this.#interrupt(this.#raised.reason)
    })
  }

  /** Calls `callback` when it is raised. For one callback at a time, and not together with {@link wait}. */
  onRaise(callback: () => void): void {
    this.#interrupt = callback
    if (this.#raised !== undefined) callback()
  }

  /** Stops following the signal. Call it when the operation has ended. */
  end(): void {
    if (this.#signal !== undefined) unfollow(this.#signal, this)
  }
}

interface Followers {
  readonly cancellations: Set<Cancellation>
  readonly onAbort: () => void
}

// One listener per signal: many calls may share a signal, and Node warns of more than ten listeners.
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
