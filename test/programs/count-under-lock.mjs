// Counts up in a file, under a lock: { file, lock, options, count, remove }.
import fs from 'node:fs'

import { withLock } from '../../dist/lock.js'
import { job, say } from '../support/program.mjs'

for (let done = 0; done < job.count; done++) {
  await withLock(job.lock, job.options, () => {
    const value = Number(fs.readFileSync(job.file, 'utf8'))
    fs.writeFileSync(job.file, String(value + 1))
    if (job.remove) fs.unlinkSync(job.lock)
  })
}
say({ done: job.count })
