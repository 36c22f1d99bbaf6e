/**
 * Forwarding: the items of a queue leave the machine.
 *
 * @module
 */
import { SettingError } from '../errors/classes.js'
import { checkQueue } from '../options.js'
import type { Queue } from '../queue.js'
import type { Shape, Untyped } from '../schema/shape.js'
import { closeInTime } from '../work/close-in-time.js'
import { workQueue } from '../work/local.js'
import { Doubts } from './doubts.js'
import { Forwarder } from './forwarder.js'
import { Handover } from './handover.js'
import { type ForwardOptions, checkForwardOptions } from './options.js'
import type { Sink } from './sink.js'

/** Eight megabytes. Until a million items are forwarded, their names are listed a dozen times, which takes four seconds of another thread. */
const NAMES_AT_ONCE = 65_536

/**
 * Hands the items of a queue over to a target, as they come: none is lost, and none arrives twice while the target knows its id and keeps
 * what it has confirmed (docs/guarantees.md). The queue is the buffer while the target is away.
 *
 * An item that the target has stored is done, and stays in done/ for a while. One that the target refuses for good goes to fail/. All others are
 * put again, with the same id, until the target answers: no item fails because of tries or crashes. The forwarder is a worker of the queue like
 * any other, and several can share it. It does not look into items: the parsers of a typed queue are not run.
 *
 * What may have been put stands in `forwarded/` of the queue. Do not remove that while items wait.
 *
 * @param sink - The target.
 * @returns The forwarder, which has begun to claim.
 * @throws {@link SettingError}; {@link QueueMissingError}, {@link NotAQueueError}, {@link NetworkFileSystemError},
 * {@link QueueClosedError} or a file system error; the error with which the sink cannot be opened; the reason of the signal, if that is
 * aborted already.
 * @example
 * ```ts
 * const forwarder = await forward(queue, sink, { closeOn: ['SIGTERM', 'SIGINT'] })
 * forwarder.on('away', ({ error }) => console.error(`the target is away: ${error.message}`))
 * forwarder.on('held', ({ error }) => console.error(error.message))
 * ```
 */
export async function forward<T extends Shape = Untyped>(
  queue: Queue<T>,
  sink: Sink,
  options: ForwardOptions = {},
): Promise<Forwarder> {
  checkQueue(queue)
  checkSink(sink)
  const checked = checkForwardOptions(options)
  const { inFlight, keep, inDoubt, ...rest } = checked
  rest.signal?.throwIfAborted()
  const worked = { ...queue.worked, parsers: undefined }
  const { directory, settings } = worked.context
  await directory.open()
  const doubts = new Doubts(directory, settings, sink.name, inFlight, (error) =>
    forwarder?.tell('error', error),
  )
  const handover = new Handover({
    sink,
    doubts,
    inDoubt,
    charset: settings.charset,
    mayLoseClaims: directory.claimsByRename,
    tell: (name, ...event) => forwarder?.tell(name, ...event),
    onAway: (error) => forwarder?.refresh(error),
  })
  let forwarder: Forwarder | undefined
  let isOpen = false
  const end = async (): Promise<void> => {
    try {
      await doubts.close()
    } finally {
      if (isOpen) await closeInTime(`The sink ${sink.name}`, sink.close?.())
    }
  }
  try {
    await doubts.open()
    await sink.open?.()
    isOpen = true
    const worker = await workQueue(
      worked,
      handover.handle,
      {
        ...rest,
        concurrency: inFlight,
        keepDone: keep === 0 ? false : keep === Infinity ? true : { age: keep },
        maxTries: 0,
        // Each error of the handler is an end: a refusal, or a doubt.
        backoff: () => false,
      },
      {
        namesAtOnce: NAMES_AT_ONCE,
        onEvent: (name, event) => {
          handover.onEvent(name, event)
          if (name === 'state') forwarder?.noteState((event[0] as { error?: unknown }).error)
        },
      },
    )
    forwarder = new Forwarder(sink.name, rest.paused, { worker, handover, end })
    return forwarder
  } catch (error) {
    await end()
    throw error
  } finally {
    void doubts.clear().catch((error: unknown) => forwarder?.tell('error', error))
  }
}

/** @throws {@link SettingError} */
function checkSink(sink: unknown): asserts sink is Sink {
  if (typeof sink !== 'object' || sink === null) throw new SettingError('sink', sink, 'a sink')
  const { name, remembers, maxSize, put } = sink as Partial<Record<keyof Sink, unknown>>
  if (typeof put !== 'function') throw new SettingError('sink.put', put, 'a function')
  if (typeof name !== 'string' || !/^[\w-][\w.-]{0,199}$/.test(name))
    throw new SettingError(
      'sink.name',
      name,
      'up to 200 letters, digits, `.`, `_` and `-`, not with a leading `.`',
    )
  if (!(typeof remembers === 'number' && remembers >= 0))
    throw new SettingError('sink.remembers', remembers, 'milliseconds, a number of 0 or more, or Infinity')
  if (maxSize !== undefined && !(typeof maxSize === 'number' && maxSize >= 0))
    throw new SettingError('sink.maxSize', maxSize, 'a number of bytes')
}
