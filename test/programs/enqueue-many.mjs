// Adds many items at once, and says what became of them. The job: { root, count, durability, empty }: each so manieth is empty.
import process from 'node:process'

import { EnqueueManyError, Queue } from '../../dist/index.js'

const { root, count, durability, empty } = JSON.parse(process.argv[2])
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`)
const queue = new Queue('q', { root, durability })
const entries = Array.from({ length: count }, (_, index) => ({
  data: index % empty === 0 ? null : `payload ${index}`,
  args: [index],
}))
try {
  await queue.enqueueMany(entries)
  say({ failed: [] })
} catch (error) {
  if (!(error instanceof EnqueueManyError)) throw error
  const failed = error.outcomes.flatMap((outcome, index) =>
    'error' in outcome ? [[index, outcome.error.code]] : [],
  )
  say({ failed })
}
await queue.close()
