/**
 * Pushing: a whole queue as items come, or one item.
 *
 * @module
 */
import { Buffer } from 'node:buffer'

import type { ForwardOptions } from '../forward/options.js'
import {
  type Forwarder,
  type Queue,
  SettingError,
  type Shape,
  type Untyped,
  type WorkItem,
  forward,
  getConst,
} from '../index.js'
import { REMOTE_KEYS } from './client.js'
import { checkKeys, checkObject, checkText } from './options.js'
import { Sender } from './sender.js'
import { SINK_KEYS, pushSink } from './sink.js'
import type { PushOptions, RemoteOptions } from './types.js'

const IN_FLIGHT = 64
/** A put may take this long, less than the half of a minute that a sink has. */
const LONGEST_PUT_S = 10

/**
 * Pushes the items of a queue to a queue on another machine, as they come: the spool of a machine whose connection is not always there. An item
 * that has arrived is done here. While the receiver is away, items wait, and no try is counted.
 *
 * A receiver of this package takes each item once. One of the first implementation knows no item again, so an item whose answer is lost may
 * arrive there twice.
 *
 * @param url - `http://`, `https://` or `unix:///PATH`, with a user and a password if the receiver wants them.
 * @param options - Of the sink and of the forwarder. `inFlight`: 1 keeps the order of the items. Default: 64. `inDoubt`: default `publish`.
 * @throws As `forward`.
 * @example
 * ```ts
 * const forwarder = await push(queue, 'https://edge:secret@example.org:8181', { closeOn: ['SIGTERM'] })
 * forwarder.on('refused', ({ item, error }) => console.error(item.id, error.message))
 * ```
 */
export async function push<T extends Shape = Untyped>(
  queue: Queue<T>,
  url: string | URL,
  options: PushOptions = {},
): Promise<Forwarder> {
  checkObject('queue', queue, 'worked', 'a Queue')
  if (typeof options !== 'object' || (options as unknown) === null)
    throw new SettingError('push', options, 'an object of options')
  const own = Object.fromEntries(
    Object.entries(options).filter(([key]) => (SINK_KEYS as readonly string[]).includes(key)),
  )
  const rest = Object.fromEntries(Object.entries(options).filter(([key]) => !Object.hasOwn(own, key)))
  const { inFlight = IN_FLIGHT, ...forwarding } = rest as ForwardOptions
  const { rate } = options
  return forward(queue, pushSink({ queue: queue.name, ...own, url }), {
    inDoubt: 'publish',
    ...forwarding,
    inFlight:
      typeof rate === 'number' && rate > 0
        ? Math.max(1, Math.min(inFlight, Math.floor(rate * LONGEST_PUT_S)))
        : inFlight,
  })
}

/** Options of {@link pushItem}. */
export interface PushItemOptions extends RemoteOptions {
  /** The name of the queue at the receiver. */
  readonly queue: string
  /** Whether to pull the trigger of that queue afterwards; a text: the name of the trigger. Default: false. */
  readonly trigger?: boolean | string | undefined
  /** Whether it is no error if the trigger has no listener. Default: false. */
  readonly ignoreListener?: boolean | undefined
  /** Its abort ends the call. The item may have arrived. */
  readonly signal?: AbortSignal | undefined
}

/** What {@link pushItem} has done beside the push. */
export interface PushedItem {
  /** Why the trigger was not pulled. The item has arrived all the same. */
  readonly triggerError?: Error | undefined
}

/**
 * Pushes one item to a queue on another machine, once. The item stays as it is: finish it when this resolves.
 *
 * @param item - An item of a scan or a worker.
 * @throws `PushError`: its `reason` tells whether the item may have arrived; `SettingError`; the reason of the signal.
 * @example
 * ```ts
 * for await (const item of queue.scan()) {
 *   await pushItem(item, 'http://127.0.0.1:8181', { queue: 'orders' })
 *   await item.done()
 * }
 * ```
 */
export async function pushItem(
  item: WorkItem,
  url: string | URL,
  options: PushItemOptions,
): Promise<PushedItem> {
  checkObject('item', item, 'rawUntried', 'an item of a scan or a worker')
  checkKeys('pushItem', options, [...REMOTE_KEYS, 'queue', 'trigger', 'ignoreListener', 'signal'])
  const { queue, trigger = false, ignoreListener = false, signal, ...remote } = options
  checkText('queue', queue)
  const sender = new Sender(url, queue, remote)
  try {
    await sender.send(
      {
        nameBytes: Buffer.from(item.rawUntried, 'latin1'),
        size: item.size,
        bytes: async () => item.bytes(),
        stream: () => item.stream(),
      },
      signal,
    )
    if (trigger === false) return {}
    try {
      await sender.pullTrigger(trigger === true ? getConst('FSQ_TRIGGER') : trigger, ignoreListener, signal)
      return {}
    } catch (error) {
      return { triggerError: error instanceof Error ? error : new Error('The trigger was not pulled') }
    }
  } finally {
    sender.client.close()
  }
}
