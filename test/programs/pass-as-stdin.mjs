// Claims an item, reads it, and gives its descriptor to a program as standard input: { root, program: [command, ...args] }.
import { spawn } from 'node:child_process'

import { Queue } from '../../dist/index.js'
import { job, say } from '../support/program.mjs'

const queue = new Queue('q', { root: job.root })
const scan = queue.scan()
const { value: item } = await scan.next()
// By position: none of it moves the offset that the program inherits.
await item.text()
for await (const chunk of item.stream({ start: 3 })) if (chunk.length === 0) throw new Error('an empty chunk')
say({ bytes: (await item.bytes()).length })
const [command, ...args] = job.program
const child = spawn(command, args, { stdio: [item.fd, 'ignore', 'ignore'] })
say({ started: child.pid, id: item.id })
child.once('exit', (code) => say({ exit: code }))
if (job.finish) process.stdin.once('data', () => void item.done().then(() => say({ done: item.id })))
else process.stdin.resume()
