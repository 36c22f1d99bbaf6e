/**
 * The port through which a receiver gets items from an engine that delivers messages: NATS JetStream, or any other that repeats a
 * delivery until it is acknowledged.
 *
 * @module
 */
import type { SourceItem, Source } from '../work/source.js'

/** A delivery of a message. Finished with `done()`, which acknowledges it; `release()` gives it back for a later delivery. */
export interface Delivery extends SourceItem {
  /**
   * Names the message, not the delivery: each repeat of the message has this id, and no other message ever has it, also after the server has
   * lost its last messages and gives their numbers to new ones. ASCII letters, digits, `.`, `_`, `:` and `-`; at most 200 bytes. For
   * example `SEQUENCE:TIMESTAMP`.
   */
  readonly id: string
  /** The arguments as text. */
  readonly args: readonly string[]
  /** The arguments byte for byte, if they are not UTF-8. Default: those of {@link args}. */
  readonly argBytes?: readonly Uint8Array[] | undefined
  /** Reads the contents as they come. Not set: {@link bytes} is used. */
  stream?(): AsyncIterable<Uint8Array>
}

/** A source of {@link receive}. */
export interface DeliverySource<Item extends Delivery = Delivery> extends Source<Item> {
  /**
   * Names the source, for the directory `received/NAME/`: the same at each start, and another one for each stream. ASCII letters, digits,
   * `.`, `_` and `-`; not a leading `.`; at most 200 bytes.
   */
  readonly name: string
  /**
   * For how many milliseconds the source may deliver a message again, such as the `max_age` of a stream. Not set: not known. A receiver
   * that keeps its ledger for a shorter time warns.
   */
  readonly repeatsFor?: number | undefined
  /** How many messages wait at the source, for the numbers. Not set: not known. */
  readonly pending?: number | undefined
}
