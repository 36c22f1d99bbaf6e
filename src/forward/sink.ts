/**
 * The port through which a forwarder hands items over: to a stream of NATS, to another machine, to any engine that stores messages.
 *
 * A sink has one duty beyond storing: it passes {@link OutgoingItem.id} on as the id of the message, and the engine drops a second
 * message with an id that it knows. Then a repeat after a lost answer does no harm.
 *
 * @module
 */

/** An item on its way out. It is claimed by the forwarder, and its contents do not change. */
export interface OutgoingItem {
  /**
   * Names this item for ever and everywhere: made of a random id of the queue, the key, the inode and its birth. ASCII letters,
   * digits, `.`, `_` and `-`; at most 200 bytes. The same in each repeat of the put, also by another process and after a crash.
   */
  readonly id: string
  /** The name of the item without its tries, as `item.key`. */
  readonly key: string
  /** The name of the item with tries 0, byte for byte. */
  readonly nameBytes: Uint8Array
  /** The arguments as text. */
  readonly args: readonly string[]
  /** The arguments byte for byte: in a queue whose charset is latin-1, they need not be UTF-8. */
  readonly argBytes: readonly Uint8Array[]
  readonly enqueuedAt: Date
  readonly tries: number
  /** The size of the contents in bytes. */
  readonly size: number
  /** Reads the contents into memory. */
  bytes(): Promise<Uint8Array>
  /** Reads the contents as they are needed, for contents that are too large for memory. */
  stream(): AsyncIterable<Uint8Array>
}

/**
 * What has become of an item that was put.
 *
 * - `stored`: the target has it, and keeps it by itself.
 * - `duplicate`: the target had it before. As good as `stored`.
 * - `refused`: the target will never take it, for example because it is too large. It moves to fail/ with the error.
 * - `again`: it is not known to be stored. The forwarder puts it again, with the same id, after a pause that grows.
 */
export type PutOutcome =
  | { readonly outcome: 'stored' | 'duplicate' }
  | { readonly outcome: 'refused'; readonly error: Error }
  | {
      readonly outcome: 'again'
      readonly error: Error
      /**
       * `true`: the target has certainly not stored the item, for example because there was no connection, or because it has answered with an
       * error. Then an outage leaves no item in doubt, however long it lasts. Default: false.
       */
      readonly isUnsent?: boolean | undefined
      /**
       * `true`: the error lasts until a user changes something, for example the credentials. The forwarder tries again all the
       * same, and a program that forwards what is there, such as `fsq forward --once`, can end. Default: false.
       */
      readonly isLasting?: boolean | undefined
    }

/** Options of {@link Sink.put}. */
export interface PutOptions {
  /** Aborted when the forwarder closes and its grace is over. The put then answers `again` for what is open. */
  readonly signal: AbortSignal
}

/** A target of {@link forward}. */
export interface Sink {
  /** Names the target in messages and in `meta/`: for example `nats-ORDERS`. ASCII letters, digits, `.`, `_` and `-`; not a leading `.`. */
  readonly name: string
  /**
   * For how many milliseconds the target knows an id again after it has stored the item. `Infinity`: as long as it has the message. 0: it
   * knows none. An item that may have been stored longer ago than this, less a minute, is in doubt: see {@link ForwardOptions.inDoubt}.
   */
  readonly remembers: number
  /** The largest contents in bytes; larger ones are refused before a put. Not set: no limit. */
  readonly maxSize?: number | undefined
  /** Whether the target can be reached at the moment, for the numbers. Not set: not known. */
  readonly connected?: boolean | undefined
  /**
   * Called once, before the first put. Its rejection is that of {@link forward}. A target that is away for now is no reason to reject.
   */
  open?(): Promise<void>
  /**
   * Hands items over, in their order. Several puts can be in flight at once, each with items of its own.
   *
   * No item may reach the target later than half a minute after the call: a client that keeps messages while it connects again would bring
   * them to a target that has forgotten their ids. Answer `again` then; the forwarder repeats the put.
   *
   * @returns One outcome for each item, in their order. A rejection, and an answer of another length, count as `again` for all of them.
   */
  put(items: readonly OutgoingItem[], options: PutOptions): Promise<readonly PutOutcome[]>
  /** Called once, when no put is in flight any more. */
  close?(): Promise<void>
}
