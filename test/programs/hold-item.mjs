// Claims an item and holds it until it is killed: { root, name? }.
import { Queue } from '../../dist/index.js'
import { job, say } from '../support/program.mjs'

for await (const item of new Queue(job.name ?? 'q', { root: job.root }).scan()) {
  say({ held: item.id })
  await new Promise((resolve) => process.stdin.resume().once('end', resolve))
}
