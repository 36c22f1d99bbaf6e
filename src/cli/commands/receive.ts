/**
 * `fsq receive`: makes the messages of an engine items of a queue, each once.
 *
 * @module
 */
import { Queue } from '../../queue.js'
import { receive } from '../../receive/receive.js'
import type { Receiver } from '../../receive/receiver.js'
import type { SettingOverrides } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { SUCCESS, someOperands } from '../command.js'
import { NATS_OPTIONS, checkNatsUrl, natsOrigin, needed } from '../engines.js'
import { HandOver, reasonOf } from '../hand-over.js'
import { write } from '../output.js'
import { ageOption } from '../select.js'

const MOST_IN_FLIGHT = 65_536

export const options: OptionTable = {
  ...NATS_OPTIONS,
  from: { value: 'a URL' },
  consumer: { value: 'the name of a consumer' },
  name: { value: 'a name for the source' },
  jobs: { short: 'j', value: 'how many at once' },
  keep: { value: 'an age, as 4d' },
  json: {},
  interval: { short: 'i', value: 'seconds' },
  'print-consumer': {},
  verbose: { short: 'v' },
}

export const help = `Usage: fsq receive [option ...] queue --from=URL --stream=STREAM --consumer=NAME

Makes each message of a consumer of NATS JetStream an item of the queue, once,
also if the server delivers it again. A message is acknowledged when its item
survives a power cut. Runs until SIGTERM or SIGINT.

      --from=URL        nats://host:4222 or tls://..., with commas (NATS_URL)
      --stream=NAME     the stream of the consumer; --domain=NAME of JetStream
      --consumer=NAME   a pull consumer, which must exist
  -j, --jobs=N          at most N messages in flight (256)
      --keep=AGE        what the ledger remembers: more than the stream (4d)
      --name=NAME       of the source, for received/NAME/ (nats-STREAM)
      --creds=FILE (NATS_CREDS), --tls-ca=FILE, --tls-cert=FILE, --tls-key=FILE
      --json            print numbers as JSON, each 10 s; -i, --interval=SECONDS
      --print-consumer  print a configuration of the consumer, and exit
  -v, --verbose         a line for each item; -h, --help  this help

Example:
  fsq receive orders --from nats://localhost --stream ORDERS --consumer site-b
Exit codes: 0 success, 100 bad usage, 111 an error.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  if (given.has('print-consumer')) return printConsumer(given)
  const [name, ...more] = someOperands(given, 'the name of a queue')
  if (more.length > 0) throw new UsageError('one queue at a time')
  checkNatsUrl(given, 'from')
  const interval = given.number('interval', 1, 86_400) ?? 10
  const inFlight = given.number('jobs', 1, MOST_IN_FLIGHT) ?? 256
  const keep = ageOption(given, 'keep')
  const handOver = new HandOver({
    doing: 'items received',
    interval: given.has('json') ? interval * 1000 : undefined,
  })
  await using queue = new Queue(name, { ...settings, onReport: ({ message }) => handOver.tell(message) })
  const source = await natsOrigin(given, handOver)
  const receiver = await receive(source, queue, {
    inFlight,
    paused: true,
    ...(keep !== undefined && { keep }),
  })
  speak(receiver, handOver, given.has('verbose'))
  receiver.resume()
  await handOver.run({
    numbers: () => receiver.numbers,
    count: () => receiver.numbers.taken,
    close: async () => receiver.close(),
  })
  return SUCCESS
}

async function printConsumer(given: Arguments): Promise<number> {
  const { consumerConfig } = await import('../../nats.js')
  write(`${JSON.stringify(consumerConfig({ consumer: needed(given, 'consumer') }), null, 2)}\n`)
  return SUCCESS
}

function speak(receiver: Receiver, handOver: HandOver, isVerbose: boolean): void {
  receiver.on('state', ({ state, was, error }) => {
    if (state === 'down' || state === 'missing') {
      const why = error === undefined ? 'the queue is down' : reasonOf(error)
      handOver.note(`nothing can be received: ${why}. Trying again`)
    } else if (state === 'running' && (was === 'down' || was === 'missing')) handOver.note('receiving again')
  })
  receiver.on('failed', ({ id, error }) => handOver.tell(`message ${id} can be no item: ${reasonOf(error)}`))
  receiver.on('retried', ({ item, error }) =>
    handOver.tell(`message ${item.id} comes again: ${reasonOf(error)}`),
  )
  receiver.on('error', (error) => handOver.tell(reasonOf(error)))
  if (isVerbose) receiver.on('done', ({ item }) => handOver.note(`message ${item.id}: received`))
}
