import { Queue, forward } from 'fsq'
import { natsSink } from 'fsq/nats'

const queue = new Queue('readings')
const sink = natsSink({ stream: 'READINGS', subject: 'fsq.readings' })
const forwarder = await forward(queue, sink, { closeOn: ['SIGTERM', 'SIGINT'] })
forwarder.on('away', ({ error }) => console.error(`The hub is away, readings wait here: ${error.message}`))
forwarder.on('back', ({ ms }) => console.error(`The hub is back after ${ms} ms`))
forwarder.on('held', ({ error }) => console.error(error.message))
setInterval(() => console.log(JSON.stringify(forwarder.numbers)), 60_000).unref()
