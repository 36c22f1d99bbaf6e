// A program of the trials, in a machine: feed QUEUE LABEL [COUNT], work QUEUE [MS], wait QUEUE LABEL, drain QUEUE. Each item has one argument, its label.
import { once } from 'node:events'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { Queue } from 'fsq'

const [, , role, name, ...rest] = process.argv
const say = (...words) => process.stdout.write(`${words.join(' ')}\n`)
const queue = new Queue(name, { root: '/q', allowNetwork: true })
process.on('warning', ({ message }) => say('problem', message))

const ROLES = {
  /** Enqueues COUNT items, or until SIGTERM. */
  async feed(label, count) {
    if (count !== undefined) {
      await queue.enqueueMany(
        Array.from({ length: count }, (_, n) => ({ data: 'text', args: [`${label}${n}`] })),
      )
      return
    }
    let isOver = false
    process.once('SIGTERM', () => (isOver = true))
    for (let n = 0; !isOver; n++) {
      await queue.enqueue('text', [`${label}${n}`])
      say('fed', `${label}${n}`)
    }
  },

  /** Works until SIGTERM. Each handler takes MS milliseconds, and ends when its item is done, whatever the signal says. */
  async work(ms = '0') {
    const handler = async (item) => {
      const [label] = item.args
      say('begin', label)
      item.signal.addEventListener('abort', () => say('told', label))
      await later(Number(ms))
      await item.done().then(
        () => say('done', label),
        (error) => say('refused', label, error.name),
      )
    }
    const worker = await queue.work(handler)
    worker.on('error', (error) => say('error', error.name, error.message.split('\n', 1)))
    say('ready')
    await once(process, 'SIGTERM')
    await worker.close()
  },

  /** Enqueues an item, and waits for its end. */
  async wait(label) {
    const id = await queue.enqueue('text', [label])
    say('fed', label)
    await queue.finished(id)
    say('ended', label)
  },

  /** Claims, reads and finishes all items, one by one. */
  async drain() {
    for await (const item of queue.scan()) {
      await item.text()
      await item.done()
    }
  },
}

await ROLES[role](...rest)
await queue.close()
