/** The calls that enqueue, and items with a payload and without. */
import { EnqueueManyError } from '../../src/errors/classes.js'
import type { NameArgument } from '../../src/name/codec.js'
import type { Queue } from '../../src/queue.js'
import { errorOf } from '../support/queue.js'

export type Enqueue = (queue: Queue, data: string | null, args: readonly NameArgument[]) => Promise<string>

export const ways: readonly (readonly [string, Enqueue])[] = [
  ['enqueue', async (queue, data, args) => queue.enqueue(data, args)],
  ['enqueueSync', async (queue, data, args) => queue.enqueueSync(data, args)],
  ['enqueueMany', async (queue, data, args) => (await queue.enqueueMany([{ data, args }]))[0] ?? ''],
]
export const payloads = [['nothing', null] as const, ['something', 'data'] as const]
export const waysAndPayloads = ways.flatMap(([way, enqueue]) =>
  payloads.map(([what, data]) => [`${way} of ${what}`, enqueue, data] as const),
)

/** The error of the one entry, whichever way it was added. */
export async function refusal(
  enqueue: Enqueue,
  queue: Queue,
  args: readonly NameArgument[],
): Promise<unknown> {
  const error = await errorOf(async () => enqueue(queue, 'x', args))
  if (!(error instanceof EnqueueManyError)) return error
  const [outcome] = error.outcomes
  return outcome !== undefined && 'error' in outcome ? outcome.error : outcome
}
