/** Payloads that are streams, and the calls that take them. */
import type { Buffer } from 'node:buffer'
import { randomBytes } from 'node:crypto'

import type { EnqueueManyError } from '../../src/errors/classes.js'
import type { Payload } from '../../src/enqueue/payload.js'
import type { Queue } from '../../src/queue.js'

// Three pieces and a bit, so that there is a draft.
export const LARGE = 800_000
export const large = randomBytes(LARGE)

type Enqueue = (queue: Queue, data: unknown) => Promise<string>

export const ways: readonly (readonly [string, Enqueue])[] = [
  ['enqueue', async (queue, data) => queue.enqueue(data as Payload, ['x'])],
  [
    'enqueueMany',
    async (queue, data) => {
      try {
        return (await queue.enqueueMany([{ data: data as Payload, args: ['x'] }]))[0] ?? ''
      } catch (error) {
        const [outcome] = (error as Partial<EnqueueManyError>).outcomes ?? []
        throw outcome !== undefined && 'error' in outcome ? outcome.error : error
      }
    },
  ],
]

export function* cut(bytes: Buffer, size: number): Generator<Buffer> {
  for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size)
}

export async function* generator<Chunk>(...chunks: Chunk[]): AsyncGenerator<Chunk> {
  yield* chunks
}

export function webStream(chunks: Iterable<unknown>, cancel?: (reason: unknown) => void): ReadableStream {
  const iterator = chunks[Symbol.iterator]()
  return new ReadableStream({
    pull(controller) {
      const { done, value } = iterator.next() as { done?: boolean; value?: unknown }
      if (done === true) controller.close()
      else controller.enqueue(value)
    },
    ...(cancel === undefined ? {} : { cancel }),
  })
}
