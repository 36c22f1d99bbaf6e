// Finishes one item, which fails, and waits until it has moved after all: { root, action, close? }.
import fs from 'node:fs'

import { FsqError, Queue } from '../../dist/index.js'
import { addon, describe, isFree, job, say } from '../support/program.mjs'

const queue = new Queue('q', {
  root: job.root,
  maxTries: 5,
  onReport({ type }) {
    const left = !fs.existsSync(file) || job.action === 'retry'
    say({ report: type, left, free: addon.heldClaims() === 0 })
    void queue.close()
  },
})
const scan = queue.scan({ prefetch: 1 })
const { value: item } = await scan.next()
const file = item.path
const failed = await item[job.action]().then(
  () => undefined,
  (error) => describe(error, FsqError),
)
const held = item.claimed && !isFree(file)
const next = await scan.next().then(
  () => undefined,
  (error) => describe(error, FsqError),
)
say({ error: failed, held: held && !isFree(file), next })
if (job.close) {
  await queue.close()
  say({ closed: true, free: isFree(file) })
}
