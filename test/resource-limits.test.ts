import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'

import { FileSystemError, TooManyFilesError } from '../src/errors/classes.js'
import {
  type ExpectedError,
  type ShownError,
  EMPTY,
  checkError,
  contents,
  inProgram,
  names,
  useTestBed,
} from './support/queue.js'

const bed = useTestBed()

describe('no descriptors left', () => {
  const prelude = `
    const fill = () => {
      const taken = []
      for (;;) {
        try { taken.push(fs.openSync('/dev/null', 'r')) } catch (error) {
          if (error.code !== 'EMFILE') throw error
          return taken
        }
      }
    }
    const free = (taken) => { for (const descriptor of taken.splice(0)) fs.closeSync(descriptor) }
    const list = (...parts) => fs.readdirSync(path.join(given.root, 'q', ...parts))
    const queue = new Queue('q', { root: given.root })
  `
  const tooMany: ExpectedError = {
    type: TooManyFilesError,
    cause: 'EMFILE',
    says: /too many open files \(EMFILE, .*Hold fewer items and files at a time, or raise the limit \(ulimit -n\)/,
  }

  test('to open the queue', async () => {
    await bed.install()
    interface Seen {
      readonly errors: ShownError[]
      readonly after: string
    }
    const seen = await inProgram<Seen>(
      `${prelude}
      const taken = fill()
      const errors = [
        await errorOf(() => queue.enqueue('x')),
        await errorOf(() => queue.enqueueSync('x')),
        await errorOf(() => queue.scan().next()),
        await errorOf(() => queue.counts()),
        await errorOf(() => Queue.install('other', { root: given.root })),
      ]
      free(taken)
      return { errors, after: await queue.enqueue('x') }`,
      { given: { root: bed.root }, shell: 'ulimit -n 64' },
    )
    for (const error of seen.errors) {
      checkError(error, tooMany)
      expect(error.path?.startsWith(bed.root)).toBe(true)
    }
    expect(fs.readdirSync(bed.root)).toEqual(['q'])
    expect(fs.readdirSync(bed.path('q', 'queue'))).toEqual([seen.after])
  })

  test('to write an item: nothing is left, and it works again when there are', async () => {
    const queue = await bed.install()
    interface Seen {
      readonly errors: ShownError[]
      readonly tmp: string[]
      readonly before: number
      readonly after: string[]
    }
    const seen = await inProgram<Seen>(
      `${prelude}
      await queue.counts()
      const taken = fill()
      const errors = [
        await errorOf(() => queue.enqueue('x')),
        await errorOf(() => queue.enqueue(null)),
        await errorOf(() => queue.enqueueSync('x')),
        await errorOf(() => queue.enqueueMany([{ data: 'x' }]).catch((error) => { throw error.outcomes[0].error })),
      ]
      free(taken)
      return { errors, tmp: list('tmp'), before: list('queue').length, after: await queue.enqueueMany([{ data: 'a' }, {}]) }`,
      { given: { root: bed.root }, shell: 'ulimit -n 64' },
    )
    for (const error of seen.errors) checkError(error, { ...tooMany, syscall: 'open' })
    expect(seen).toMatchObject({ tmp: [], before: 0 })
    expect(names(queue, 'queue')).toEqual([...seen.after].sort())
  })

  test('for a whole batch: it goes in parts', async () => {
    const queue = await bed.install()
    const body = `${prelude}
      const taken = (await queue.counts(), fill())
      fs.closeSync(taken.pop())
      fs.closeSync(taken.pop())
      const ids = await queue.enqueueMany(Array.from({ length: 100 }, (_, index) => ({ data: String(index) })))
      free(taken)
      return ids`
    const ids = await inProgram<string[]>(body, { given: { root: bed.root }, shell: 'ulimit -n 64' })
    expect(ids).toHaveLength(100)
    expect(contents(queue)).toEqual({ ...EMPTY, queue: [...ids].sort() })
  })

  test.each([undefined, 50])(
    'to claim ahead (prefetch %p): no more are claimed ahead than there is room for',
    async (prefetch) => {
      const queue = await bed.install({ durability: 'none' })
      const ids = await queue.enqueueMany(Array.from({ length: 100 }, () => ({ data: 'x' })))
      const order = await inProgram<string[]>(
        `${prelude}
      await queue.counts()
      const taken = fill()
      for (let room = 0; room < 6; room++) fs.closeSync(taken.pop())
      const order = []
      for await (const item of queue.scan({ prefetch: given.prefetch })) {
        order.push(item.id)
        await item.done()
      }
      free(taken)
      return order`,
        { given: { root: bed.root, prefetch }, shell: 'ulimit -n 64' },
      )
      expect(order).toEqual(ids)
      expect(names(queue, 'done')).toEqual([...ids].sort())
    },
  )

  test('to claim more: what is claimed is good, and then it is an error', async () => {
    const queue = await bed.install({ durability: 'none' })
    const ids = await queue.enqueueMany(Array.from({ length: 100 }, () => ({ data: 'x' })))
    interface Seen {
      readonly error: ShownError
      readonly held: number
      readonly done: number
      readonly rest: number
    }
    const seen = await inProgram<Seen>(
      `${prelude}
      const items = []
      const error = await errorOf(async () => { for await (const item of queue.scan()) items.push(item) })
      const held = items.filter(({ claimed }) => claimed).length
      await Promise.all(items.map((item) => item.done()))
      const done = list('done').length
      let rest = 0
      for await (const item of queue.scan()) { await item.done(); rest++ }
      return { error, held, done, rest }`,
      { given: { root: bed.root }, shell: 'ulimit -n 64' },
    )
    checkError(seen.error, { ...tooMany, syscall: 'openat' })
    expect(path.dirname(seen.error.path ?? '')).toBe(bed.path('q', 'queue'))
    expect(seen.held).toBeGreaterThan(5)
    expect(seen.done).toBe(seen.held)
    expect(seen.done + seen.rest).toBe(100)
    expect(names(queue, 'done')).toEqual([...ids].sort())
  })
})

describe('a file that grows too large for the limits', () => {
  test('is an error, and leaves nothing', async () => {
    const queue = await bed.install()
    const error = await inProgram<ShownError>(
      `
      process.on('SIGXFSZ', () => {})
      const queue = new Queue('q', { root: given.root })
      return errorOf(() => queue.enqueue('x'.repeat(1 << 20)))`,
      { given: { root: bed.root }, shell: 'ulimit -f 128' },
    )
    checkError(error, {
      type: FileSystemError,
      cause: 'EFBIG',
      syscall: 'write',
      says: /the limits \(ulimit -f\) allow/,
    })
    expect(contents(queue)).toEqual(EMPTY)
  })
})
