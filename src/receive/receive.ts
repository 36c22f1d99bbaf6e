/**
 * Receiving: the messages of a source become items of a queue, each once.
 *
 * @module
 */
import { isSourceName } from '../directory/received.js'
import { SettingError } from '../errors/classes.js'
import { checkMilliseconds, checkOptions, checkQueue } from '../options.js'
import type { Queue } from '../queue.js'
import type { Shape } from '../schema/shape.js'
import { type WorkerOptions, checkWorkerOptions } from '../work/options.js'
import type { Delivery, DeliverySource } from './delivery.js'
import { type Receiver, ReceiverWorker } from './receiver.js'

/** Options of {@link receive}. */
export interface ReceiveOptions extends Pick<
  WorkerOptions<Delivery>,
  'grace' | 'closeOn' | 'signal' | 'paused'
> {
  /** How many deliveries the receiver has in hand at once. They share their fsyncs, so more of them are faster. Default: 256. */
  readonly inFlight?: number | undefined
  /**
   * Milliseconds until the ledger may forget a message. Set it to more than the time for which the source can repeat one. At least 1000. Default:
   * 345,600,000, four days.
   */
  readonly keep?: number | undefined
}

const OPTIONS = ['inFlight', 'keep', 'grace', 'closeOn', 'signal', 'paused'] as const
const IN_FLIGHT = 256
const KEEP_MS = 96 * 3600 * 1000
const SHORTEST_KEEP = 1000

/**
 * Receives the messages of a source: each becomes one item of the queue, also if the source delivers it again, and whenever this process
 * is killed. A message is acknowledged when its item is in the queue, and both survive a power cut, whatever the setting
 * `durability`.
 *
 * The receiver keeps a ledger of the messages in the directory `received/NAME/` of the queue, NAME being the name of the source. It
 * remembers each message for the time `keep`.
 *
 * While the queue is down or missing, its disk is full or its permissions are gone, nothing is acknowledged. The receiver gives the
 * deliveries back, and goes on by itself when the queue takes items again.
 *
 * @param source - For example a consumer of NATS JetStream.
 * @param queue - Must stay open. Its `close()` closes the receiver, too.
 * @returns The receiver, which has begun to receive.
 * @throws {@link ReceivingError}: another receiver has the source of this name; {@link SettingError};
 * {@link QueueMissingError}, {@link NotAQueueError}, {@link NetworkFileSystemError}, {@link QueueClosedError} or a file system error; the reason of the signal, if
 * that is aborted already; the error with which the source cannot be opened.
 * @example
 * ```ts
 * const receiver = await receive(source, queue, { closeOn: ['SIGTERM', 'SIGINT'] })
 * receiver.on('error', (error) => console.error(error))
 * setInterval(() => console.log(receiver.numbers), 60_000).unref()
 * ```
 */
export async function receive<Item extends Delivery>(
  source: DeliverySource<Item>,
  queue: Queue<Shape>,
  options: ReceiveOptions = {},
): Promise<Receiver<Item>> {
  checkOptions('receive', options, OPTIONS)
  const { inFlight = IN_FLIGHT, keep = KEEP_MS, ...rest } = options
  if (!(Number.isSafeInteger(inFlight) && inFlight >= 1))
    throw new SettingError('inFlight', inFlight, 'a whole number of 1 or more')
  checkMilliseconds('keep', keep)
  if (keep < SHORTEST_KEEP) throw new SettingError('keep', keep, `milliseconds, ${SHORTEST_KEEP} or more`)
  if (typeof source !== 'object' || (source as unknown) === null)
    throw new SettingError('source', source, 'a source of deliveries')
  checkQueue(queue)
  if (!isSourceName(source.name))
    throw new SettingError(
      'the name of the source',
      source.name,
      '1 to 200 of the ASCII letters, digits, and . _ -, without a leading .',
    )
  const checked = checkWorkerOptions<Item>({ ...rest, concurrency: inFlight })
  checked.signal?.throwIfAborted()
  const receiver = new ReceiverWorker({ source, context: queue.worked.context, options: checked, keep })
  await receiver.open()
  try {
    checked.signal?.throwIfAborted()
    queue.worked.register(receiver)
  } catch (error) {
    await receiver.close()
    throw error
  }
  return receiver.start()
}
