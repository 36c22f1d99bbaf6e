/** Troubles of the receiver's disk: the sender keeps its items and says why, and each arrives once when the trouble is over. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'

import { expect, test } from '@jest/globals'

import { given } from '../support/needs.js'
import { inProgram, useTestBed } from '../support/queue.js'

const bed = useTestBed({ quick: true })

// Mounts of their own need a namespace, which not every kernel and container gives.
const canMount =
  spawnSync('unshare', ['--map-root-user', '--mount', 'mount', '-t', 'tmpfs', 'none', '/mnt']).status === 0
const ifMounts = given(canMount)
const REMOTE = new URL('../../dist/remote.js', import.meta.url).href

interface Seen {
  /** Why the sender could not bring its items. */
  readonly away: string
  /** While the trouble lasted. */
  readonly kept: number
  readonly there: number
  /** What the receiver had left in its directories. */
  readonly leftovers: readonly string[]
  readonly numbers: { readonly forwarded: number; readonly refused: number; readonly failed: number }
  readonly sizes: readonly number[]
  readonly logged: readonly string[]
}

/** Pushes a queue with items of these sizes to a receiver in trouble, ends the trouble, and waits until all have arrived. */
async function pushThrough(
  sizes: readonly number[],
  steps: { readonly before: string; readonly mend: string },
  options: { readonly namespace?: boolean; readonly nobody?: boolean },
): Promise<Seen> {
  for (const name of ['near', 'far']) {
    fs.mkdirSync(bed.path(name))
    // For those who give up root.
    fs.chmodSync(bed.path(name), 0o777)
  }
  return inProgram<Seen>(
    `const { near, far, sizes } = given
    const { createServer } = await import('node:http')
    const { push, receiver } = await import(given.remote)
    ${steps.before}
    const logged = []
    const handler = receiver({ queues: ['q'], root: far, onError: (text) => logged.push(text) })
    const server = createServer(handler)
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
    const from = await Queue.install('from', { root: near, durability: 'none' })
    for (const size of sizes) await from.enqueue(Buffer.alloc(size, 'x'))
    const forwarder = await push(from, 'http://127.0.0.1:' + server.address().port, { queue: 'q', inFlight: 1 })
    const away = await new Promise((resolve) => forwarder.on('away', ({ error }) => resolve(error.message)))
    const list = (directory) => fs.existsSync(directory) ? fs.readdirSync(directory) : []
    const queue = path.join(far, 'q')
    const kept = list(path.join(near, 'from', 'queue')).length
    const there = list(path.join(queue, 'queue')).length
    const leftovers = [...list(path.join(queue, 'tmp')), ...list(path.join(queue, 'received', 'push', 'staged'))]
    ${steps.mend}
    await until(() => forwarder.numbers.forwarded === sizes.length)
    const { forwarded, refused, failed } = forwarder.numbers
    await forwarder.close()
    await from.close()
    server.close()
    await handler.close()
    const files = list(path.join(queue, 'queue')).map((name) => fs.statSync(path.join(queue, 'queue', name)).size)
    return { away, kept, there, leftovers, numbers: { forwarded, refused, failed }, sizes: files, logged }`,
    { given: { near: bed.path('near'), far: bed.path('far'), sizes, remote: REMOTE }, ...options },
  )
}

function check(seen: Seen, sizes: readonly number[], reason: string): void {
  expect(seen.away).toMatch(new RegExp(`^http://127\\.0\\.0\\.1:\\d+: Server error: ${reason}$`))
  expect(seen.kept + seen.there).toBe(sizes.length)
  expect(seen.leftovers).toEqual([])
  expect(seen.numbers).toEqual({ forwarded: sizes.length, refused: 0, failed: 0 })
  expect(seen.sizes.toSorted()).toEqual(sizes.toSorted())
  for (const text of seen.logged) expect(text).not.toContain(bed.root)
}

const MOUNT = `execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', far])
    await (await Queue.install('q', { root: far })).close()`

ifMounts.describe(
  `a full disk${canMount ? '' : ' (skipped: unshare --map-root-user --mount does not work here)'}`,
  () => {
    const mend = `execFileSync('mount', ['-o', 'remount,size=100m', 'none', far])`

    test.each([
      ['text', 700_000],
      ['a stream', 5_000_000],
    ])('%s', async (_what, size) => {
      const sizes = [100, size, 200, size, 300]
      check(await pushThrough(sizes, { before: MOUNT, mend }, { namespace: true }), sizes, 'the disk is full')
    })

    test('not even room for the ledger', async () => {
      const fill = `
        const filler = fs.openSync(path.join(far, 'filler'), 'w')
        try { for (;;) fs.writeSync(filler, Buffer.alloc(4096)) } catch {}`
      const sizes = [0, 1, 100]
      check(
        await pushThrough(
          sizes,
          { before: MOUNT + fill, mend: `fs.truncateSync(path.join(far, 'filler'))` },
          { namespace: true },
        ),
        sizes,
        'the disk is full',
      )
    })
  },
)

test('a queue that is missing', async () => {
  const mend = `await (await Queue.install('q', { root: far })).close()`
  check(await pushThrough([1, 2, 3], { before: '', mend }, {}), [1, 2, 3], 'no such queue')
})

test('a queue that is broken', async () => {
  const before = `await (await Queue.install('q', { root: far })).close()
    fs.renameSync(path.join(far, 'q', 'queue'), path.join(far, 'elsewhere'))`
  const mend = `fs.renameSync(path.join(far, 'elsewhere'), path.join(far, 'q', 'queue'))`
  check(await pushThrough([1, 2, 3], { before, mend }, {}), [1, 2, 3], 'the queue is broken')
})

test('a permission that is gone', async () => {
  const before = `await (await Queue.install('q', { root: far })).close()
    fs.chmodSync(path.join(far, 'q'), 0o555)`
  const mend = `fs.chmodSync(path.join(far, 'q'), 0o755)`
  check(await pushThrough([1, 2, 3], { before, mend }, { nobody: true }), [1, 2, 3], 'permission denied')
})

test('a permission that goes while items come', async () => {
  const before = `await (await Queue.install('q', { root: far })).close()
    const staged = path.join(far, 'q', 'received', 'push', 'staged')
    const timer = setInterval(() => {
      if (fs.readdirSync(path.join(far, 'q', 'queue')).length === 0) return
      clearInterval(timer)
      fs.chmodSync(staged, 0o555)
    }, 1)`
  const sizes = Array.from({ length: 400 }, (_, at) => at)
  const seen = await pushThrough(sizes, { before, mend: `fs.chmodSync(staged, 0o755)` }, { nobody: true })
  check(seen, sizes, 'permission denied')
  expect(seen.there).toBeGreaterThan(0)
})
