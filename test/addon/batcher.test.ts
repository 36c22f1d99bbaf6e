import { expect, test } from '@jest/globals'

import { Batcher } from '../../src/addon/batcher.js'
import { CallThread } from '../../src/addon/call-thread.js'

interface Batch {
  readonly entries: readonly number[]
  readonly end: (outcomes: readonly string[]) => void
  readonly fail: (error: unknown) => void
}

class Bed {
  readonly batches: Batch[] = []
  readonly outcomes: string[] = []
  readonly batcher: Batcher<number, string>

  constructor(limit: number, overlapping: boolean) {
    const run = (entries: readonly number[]): Promise<readonly string[]> =>
      new Promise((resolve, reject) => {
        this.batches.push({ entries, end: resolve, fail: reject })
      })
    this.batcher = new Batcher(run, limit, overlapping)
  }

  submit(from: number, to: number): void {
    for (let entry = from; entry < to; entry++) {
      this.batcher.submit(
        entry,
        (outcome) => this.outcomes.push(outcome),
        (error: unknown) => this.outcomes.push(`failed: ${String(error)}`),
      )
    }
  }

  end(index: number): void {
    const batch = this.batches[index]
    batch?.end(batch.entries.map((entry) => `done ${entry}`))
  }

  get sizes(): number[] {
    return this.batches.map(({ entries }) => entries.length)
  }
}

const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('calls of one tick share a batch, in their order', async () => {
  const bed = new Bed(256, false)
  bed.submit(0, 5)
  expect(bed.batches).toEqual([])
  await tick()
  expect(bed.batches.map(({ entries }) => entries)).toEqual([[0, 1, 2, 3, 4]])
  bed.end(0)
  await tick()
  expect(bed.outcomes).toEqual(['done 0', 'done 1', 'done 2', 'done 3', 'done 4'])
})

test('while one batch is under way, the next one gathers, up to the limit', async () => {
  const bed = new Bed(4, false)
  bed.submit(0, 1)
  await tick()
  bed.submit(1, 3)
  await tick()
  bed.submit(3, 7)
  await tick()
  expect(bed.sizes).toEqual([1])
  bed.end(0)
  await tick()
  expect(bed.sizes).toEqual([1, 4])
  bed.end(1)
  await tick()
  expect(bed.sizes).toEqual([1, 4, 2])
  bed.end(2)
  await tick()
  expect(bed.outcomes).toHaveLength(7)
})

test('overlapping, none waits for another, and one that is full begins at once', async () => {
  const bed = new Bed(8, true)
  bed.submit(0, 1)
  await tick()
  bed.submit(1, 20)
  expect(bed.sizes).toEqual([1, 8, 8])
  await tick()
  expect(bed.sizes).toEqual([1, 8, 8, 3])
  expect(bed.batches.flatMap(({ entries }) => entries)).toEqual(
    Array.from({ length: 20 }, (_, entry) => entry),
  )
})

test('entries that microtasks submit one after the other go together', async () => {
  const bed = new Bed(8, true)
  for (let entry = 0; entry < 5; entry++) {
    bed.submit(entry, entry + 1)
    await Promise.resolve()
  }
  expect(bed.sizes).toEqual([])
  await tick()
  expect(bed.sizes).toEqual([5])
})

test.each([true, false])(
  'a batch that fails fails its own entries alone (overlapping: %s)',
  async (overlapping) => {
    const bed = new Bed(256, overlapping)
    bed.submit(0, 2)
    await tick()
    bed.batches[0]?.fail('no')
    await tick()
    bed.submit(2, 3)
    await tick()
    bed.end(1)
    await tick()
    expect(bed.outcomes).toEqual(['failed: no', 'failed: no', 'done 2'])
  },
)

test('where all batches suit this thread, they wait for the end of the tick, and for the next turn when this one is over', async () => {
  const thread = new CallThread({ quick: 10, slow: 20, run: 1, turn: 4 })
  thread.noteInPool(1, 1)
  const run = (entries: readonly number[], mayRunHere: boolean): readonly number[] => {
    thread.beginHere()
    thread.noteHere(entries.length, 1)
    batches.push({ entries, mayRunHere, turn })
    return entries
  }
  const batches: { entries: readonly number[]; mayRunHere: boolean; turn: number }[] = []
  let turn = 0
  const batcher = new Batcher(run, 4, true, { thread, isForAll: () => true })
  let isSubmitting = true
  const during: boolean[] = []
  await tick()
  for (let entry = 0; entry < 9; entry++) batcher.submit(entry, () => during.push(isSubmitting), fail)
  isSubmitting = false
  for (; turn < 4; turn++) await tick()
  expect(during).toEqual(Array(9).fill(false))
  expect(batches.map(({ entries }) => entries)).toEqual([[0, 1, 2, 3], [4, 5, 6, 7], [8]])
  expect(batches.map(({ mayRunHere }) => mayRunHere)).toEqual([true, true, true])
  expect(new Set(batches.map((batch) => batch.turn)).size).toBe(3)
})

test('an entry is lone if it shares no batch, and none is in flight', async () => {
  const lone: boolean[] = []
  let end = (): void => undefined
  const batcher = new Batcher<number, number>(
    (entries, mayRunHere) => {
      lone.push(mayRunHere)
      if (mayRunHere && lone.length === 1) return entries
      return new Promise((resolve) => (end = () => resolve(entries)))
    },
    8,
    true,
  )
  const outcomes: number[] = []
  const submit = (entry: number): void => {
    batcher.submit(entry, (outcome) => outcomes.push(outcome), fail)
  }
  submit(1)
  expect(outcomes).toEqual([])
  await tick()
  expect(outcomes).toEqual([1])
  submit(2)
  submit(3)
  await tick()
  submit(4)
  await tick()
  expect(lone).toEqual([true, false, false])
  end()
  await tick()
  expect(outcomes).toEqual([1, 4])
})

test('a batch that cannot begin fails its entries, and later than the call', async () => {
  const batcher = new Batcher<number, number>(
    () => {
      throw new Error('closed')
    },
    2,
    true,
  )
  const errors: unknown[] = []
  const submit = (): void => {
    batcher.submit(0, fail, (error) => errors.push(error))
  }
  submit()
  submit()
  expect(errors).toEqual([])
  await tick()
  expect(errors).toEqual([new Error('closed'), new Error('closed')])
})

function fail(): never {
  throw new Error('unexpected')
}
