// An ordinary worker: { root, name?, log, start?, options?, prefetch?, action?, untilEmpty?, once? }. It begins when
// there is a file `start`. Each item leaves two lines in the log, 'start ID' before the work and 'done ID' after it, each
// written before anything else happens.
import fs from 'node:fs'
import { setTimeout as later } from 'node:timers/promises'

import { FsqError, Queue } from '../../dist/index.js'
import { contentOf } from '../support/scenarios.mjs'
import { appears, describe, job, say } from '../support/program.mjs'

const queue = new Queue(job.name ?? 'q', {
  root: job.root,
  ...job.options,
  onReport: ({ type }) => say({ report: type }),
})
const log = fs.openSync(job.log, 'a')
const note = (line) => fs.writeSync(log, `${line}\n`)
const scanOptions = job.prefetch === undefined ? {} : { prefetch: job.prefetch }

let isStopped = false
process.stdin.on('data', () => (isStopped = true)).unref()
say({ ready: true })
if (job.start !== undefined) await appears(job.start)

try {
  while (!isStopped && !(job.untilEmpty && (await queue.counts()).waiting === 0)) {
    for await (const item of queue.scan(scanOptions)) {
      const { id } = item
      note(`start ${id}`)
      const content = await item.bytes()
      if (item.args.length === 2 && !content.equals(contentOf(...item.args))) say({ torn: id })
      await item[job.action ?? 'done']()
      note(`done ${id}`)
      if (isStopped) break
    }
    if (job.once) break
    await later(1)
  }
} catch (error) {
  say({ error: describe(error, FsqError) })
}
await queue.close()
say({ end: true })
