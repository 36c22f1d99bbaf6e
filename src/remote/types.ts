/**
 * The options of pushes. Apart from their code, which few programs load.
 *
 * @module
 */
import type { ForwardOptions } from '../forward/options.js'

/** Certificates for `https://`, as of `node:tls`. */
export interface PushTls {
  /** The authorities that the certificate of the receiver may be from. Default: those of the system. */
  readonly ca?: string | Uint8Array | readonly (string | Uint8Array)[] | undefined
  /** A certificate of this machine, for a receiver that asks for one, and its key. */
  readonly cert?: string | Uint8Array | undefined
  readonly key?: string | Uint8Array | undefined
}

/** How a receiver is reached. */
export interface RemoteOptions {
  /** Certificates for `https://`. */
  readonly tls?: PushTls | undefined
  /** The most connections at once. Default: 16. */
  readonly connections?: number | undefined
  /** Milliseconds within which a connection has to be made. Default: 10,000. */
  readonly connectTimeout?: number | undefined
  /** Milliseconds without a byte in either direction after which a request is given up. Default: 60,000. */
  readonly answerTimeout?: number | undefined
}

/** Options of {@link pushSink}. */
export interface PushSinkOptions extends RemoteOptions {
  /** `http://HOST:PORT`, `https://HOST:PORT` or `unix:///PATH`, with a user and a password if the receiver wants them. */
  readonly url: string | URL
  /** The name of the queue at the receiver. */
  readonly queue: string
  /** The most items in a second. Default: no limit. */
  readonly rate?: number | undefined
  /** Pulls this trigger of the queue at the receiver after items have come. Default: none. */
  readonly trigger?: string | undefined
  /** The name of the sink: see `Sink.name`. Default: made of host, port and queue. */
  readonly name?: string | undefined
  /**
   * Milliseconds for which the receiver knows an item again. Default: as the receiver says; 0 for one of the first implementation, which knows
   * none.
   */
  readonly remembers?: number | undefined
}

/** Options of {@link push}. */
export interface PushOptions extends Omit<PushSinkOptions, 'url' | 'queue'>, ForwardOptions {
  /** The name of the queue at the receiver. Default: that of this queue. */
  readonly queue?: string | undefined
}
