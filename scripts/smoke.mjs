// What a user does first, run in each runtime: a queue, items, a claim and its outcomes, a second claim, a lock, a
// thread.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Worker } from 'node:worker_threads'

import * as fsq from 'fsq'
import * as locks from 'fsq/lock'
import { drain, testQueue } from 'fsq/testing'

const { Queue } = fsq
const root = mkdtempSync(join(tmpdir(), 'fsq-smoke-'))
try {
  const queue = await Queue.install('q', { root, maxTries: 3 })
  await queue.enqueue('first', ['a_b', 'ü'])
  queue.enqueueSync({ json: { n: 2 } })
  await queue.enqueueMany([
    { data: null, args: ['empty'] },
    { data: 'late', delay: 60_000 },
  ])

  const rival = new Queue('q', { root, maxTries: 3 })
  const seen = []
  for await (const item of queue.scan()) {
    seen.push([await item.text(), item.args.join()])
    for await (const other of rival.scan({ prefetch: 1 })) {
      assert.notEqual(other.key, item.key, 'claimed twice')
      other.release()
    }
    if (seen.length === 1) await item.retry()
    else await item.done()
  }
  assert.deepEqual(seen, [
    ['first', 'a_b,ü'],
    ['{"n":2}', ''],
    ['', 'empty'],
  ])
  assert.deepEqual(await queue.counts(), { waiting: 2, done: 2, failed: 0, tmp: 0 })

  const large = await Queue.install('large', { root })
  await large.enqueue('x'.repeat(3_000_000))
  for await (const item of large.scan()) {
    assert.equal((await item.text()).length, 3_000_000, 'large')
    let length = 0
    for await (const chunk of item.stream()) length += chunk.length
    assert.equal(length, 3_000_000, 'streamed')
    await item.done()
  }
  await large.close()

  const tested = await testQueue({ maxTries: 2, body: Number })
  assert(tested instanceof Queue, 'one copy of what fsq/testing uses')
  await tested.enqueue({ json: 5 }, [], { delay: 60_000 })
  const { done, retried } = await drain(tested, ({ tries }) => {
    if (tries === 0) throw new Error('once more')
  })
  assert.deepEqual([done.map(({ body }) => body), retried.length], [[5], 1])
  await tested.remove()
  await Promise.all([queue.close(), rival.close()])

  const require = createRequire(import.meta.url)
  assert.equal(require('fsq').Queue, Queue, 'require')
  assert.equal(require('fsq/lock').tryLock, locks.tryLock, 'require')
  assert.equal(require('fsq/testing').drain, drain, 'require')
  assert.equal(locks.FsqError, fsq.FsqError, 'one copy of what both modules have')
  await locks.withLock(join(root, 'a.lock'), async () =>
    assert.equal(await locks.tryLock(join(root, 'a.lock')), undefined, 'locked twice'),
  )
  await new Promise((resolve, reject) => {
    const source = `import('fsq').then(({ Queue }) => new Queue('q', { root: ${JSON.stringify(root)} }).counts())
      .then(({ waiting }) => require('node:worker_threads').parentPort.postMessage(waiting))`
    const worker = new Worker(source, { eval: true })
    worker.on('message', (waiting) => resolve(assert.equal(waiting, 2)))
    worker.on('error', reject)
  })
  console.log('smoke ok')
} finally {
  rmSync(root, { recursive: true, force: true })
}
