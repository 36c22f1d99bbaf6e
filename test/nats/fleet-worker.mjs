import { work } from 'fsq'
import { jetstreamSource } from 'fsq/nats'

const source = jetstreamSource({ stream: 'READINGS', consumer: 'fleet', maxTries: 5 })
const worker = await work(
  source,
  async (reading) => {
    console.log(reading.args[0], await reading.text())
  },
  { concurrency: 16, timeout: 60_000, closeOn: ['SIGTERM', 'SIGINT'] },
)
worker.on('failed', ({ id, error }) => console.error(`${id} is in the dead letters`, error))
