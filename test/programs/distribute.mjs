// Distributes the items of a queue to its hosts, and says what has become of them. The parent kills it at any time.
import { Queue } from '../../dist/index.js'
import { job, say } from '../support/program.mjs'

const { root, durability = 'none', ...options } = job
const queue = new Queue('q', { root, durability, maxTries: 0 })
say({ begun: true })
const { distributed, left, errors } = await queue.distribute(options)
say({ distributed, left, errors: [...errors].map(([host, { code, errno }]) => [host, code, errno]) })
await queue.close()
