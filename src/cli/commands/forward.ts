/**
 * `fsq forward`: hands the items of a queue over to an engine.
 *
 * @module
 */
import type { ForwarderEvents } from '../../forward/events.js'
import { forward } from '../../forward/forward.js'
import type { Forwarder } from '../../forward/forwarder.js'
import type { Sink } from '../../forward/sink.js'
import { ageText } from '../../inspect/age-text.js'
import { Queue } from '../../queue.js'
import type { SettingOverrides } from '../../settings.js'
import { explain } from '../advice.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { FAILURE, SUCCESS, someOperands } from '../command.js'
import {
  NATS_OPTIONS,
  PUSH_OPTIONS,
  type PushPlace,
  checkNatsUrl,
  checkPushUrl,
  isPushUrl,
  natsTarget,
  needed,
  pushTarget,
  subjectOf,
} from '../engines.js'
import { HandOver, reasonOf } from '../hand-over.js'
import { write } from '../output.js'
import { ageOption } from '../select.js'

const MOST_IN_FLIGHT = 65_536
const PUSHED_IN_FLIGHT = 64

/** The options of both forms of this command. */
export const FORWARD_OPTIONS: OptionTable = {
  name: { value: 'a name for the target' },
  jobs: { short: 'j', value: 'how many at once' },
  keep: { value: 'an age, as 10m' },
  'in-doubt': { value: 'hold or publish' },
  once: { short: '1' },
  json: {},
  interval: { short: 'i', value: 'seconds' },
  verbose: { short: 'v' },
}

export const options: OptionTable = {
  ...FORWARD_OPTIONS,
  ...PUSH_OPTIONS,
  ...NATS_OPTIONS,
  to: { value: 'a URL' },
  queue: { value: 'the name of a queue' },
  subject: { value: 'a subject' },
  strict: {},
  'object-bucket': { value: 'the name of a bucket' },
  'print-stream': {},
  replicas: { value: 'on how many servers' },
}

export const help = `Usage: fsq forward [option ...] queue --to=URL [--stream=STREAM]

Hands items over to NATS JetStream, or to fsq jsonrpcd, as they come: none is
lost, none is stored twice while the target knows its id. Runs until SIGTERM.

      --to=URL          nats://host:4222 or tls://..., with commas (NATS_URL);
                        http://host:port, https:// or unix:// of a jsonrpcd
      --stream=NAME     the stream, which must exist; --domain=NAME of JetStream
      --subject=TEXT    of the messages (fsq.QUEUE); --strict  one for each item
      --object-bucket=NAME  where contents go that do not fit into a message
      --queue=NAME      the queue of a jsonrpcd (QUEUE); --trigger pulls it;
                        --connections=N, --rate=N, --timeout=SECONDS
  -1, --once            end when no item is left to forward
  -j, --jobs=N          at most N items in flight (256, 64); 1 keeps the order
      --keep=AGE        how long forwarded items stay in done/ (10m)
      --in-doubt=...    'hold' items in doubt in fail/, or 'publish' them
      --name=NAME       of the target, for forwarded/NAME/ (nats-STREAM)
      --creds=FILE (NATS_CREDS), --tls-ca=FILE, --tls-cert=FILE, --tls-key=FILE
      --json            print numbers as JSON, each 10 s; -i, --interval=SECONDS
      --print-stream    print a configuration of the stream; --replicas=N (3)
  -v, --verbose         a line for each item; -h, --help  this help
Example:
  fsq forward orders --to nats://localhost --stream ORDERS
Exit codes: 0; 100 bad usage; 111 an error, or --once and not all has arrived.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const [name, ...more] = someOperands(given, 'the name of a queue')
  if (more.length > 0) throw new UsageError('one queue at a time')
  if (given.has('print-stream')) return printStream(given, name)
  const url = given.text('to') ?? ''
  if (!isPushUrl(url)) {
    checkNatsUrl(given, 'to')
    return forwardAll(given, name, settings, undefined)
  }
  checkPushUrl(url)
  return forwardAll(given, name, settings, { url, queue: given.text('queue') ?? name })
}

/**
 * Forwards until a signal, or until nothing is left.
 *
 * @param place - Where items are pushed; `undefined`: to NATS.
 */
export async function forwardAll(
  given: Arguments,
  name: string,
  settings: SettingOverrides,
  place: PushPlace | undefined,
): Promise<number> {
  const interval = given.number('interval', 1, 86_400) ?? 10
  const handOver = new HandOver({
    doing: 'items forwarded',
    interval: given.has('json') ? interval * 1000 : undefined,
  })
  const inDoubt = given.text('in-doubt') ?? (place === undefined ? 'hold' : 'publish')
  if (inDoubt !== 'hold' && inDoubt !== 'publish') return given.refuse('in-doubt', 'hold or publish')
  const inFlight = given.number('jobs', 1, MOST_IN_FLIGHT) ?? (place === undefined ? 256 : PUSHED_IN_FLIGHT)
  const keep = ageOption(given, 'keep') ?? 600_000
  await using queue = new Queue(name, { ...settings, onReport: ({ message }) => handOver.tell(message) })
  const sink =
    place === undefined
      ? await natsTarget(given, name, handOver)
      : await pushTarget(given, place, queue.settings)
  const rate = place === undefined ? undefined : given.number('rate', 1)
  const forwarder = await forward(queue, sink, {
    // No put may take longer than half a minute.
    inFlight: rate === undefined ? inFlight : Math.min(inFlight, rate * 10),
    keep,
    inDoubt,
    paused: true,
  })
  const isDraining = given.has('once')
  let giveUp: () => void = () => undefined
  const isHopeless = new Promise<void>((resolve) => (giveUp = resolve))
  const outages = new Outages(handOver, isDraining ? giveUp : undefined)
  sink.put = outages.watching(sink)
  speak(forwarder, handOver, outages, given.has('verbose'))
  if (sink.lastingError !== undefined) outages.onLasting(sink.lastingError)
  forwarder.resume()
  const signal = await handOver.run(
    {
      numbers: () => forwarder.numbers,
      count: () => forwarder.numbers.forwarded,
      close: async () => forwarder.close(),
    },
    isDraining ? Promise.race([forwarder.idle(), isHopeless]) : undefined,
  )
  if (!isDraining) return SUCCESS
  if (signal !== undefined) handOver.tell(`${signal} has ended this run before all items had arrived`)
  return handOver.hasFailed ? FAILURE : SUCCESS
}

async function printStream(given: Arguments, queue: string): Promise<number> {
  const { streamConfig } = await import('../../nats.js')
  const config = streamConfig({
    stream: needed(given, 'stream'),
    subject: subjectOf(given, queue),
    strict: given.has('strict'),
    replicas: given.number('replicas', 1, 5) ?? 3,
  })
  write(`${JSON.stringify(config, null, 2)}\n`)
  return SUCCESS
}

/** Tells why nothing is forwarded. */
class Outages {
  readonly #handOver: HandOver
  readonly #giveUp: (() => void) | undefined
  #isOfQueue = false
  /** The last error that lasts until a user changes something. */
  #lasting: Error | undefined

  /** @param giveUp - Ends the run after an error that lasts until a user changes something. Default: the run goes on. */
  constructor(handOver: HandOver, giveUp: (() => void) | undefined) {
    this.#handOver = handOver
    this.#giveUp = giveUp
  }

  /** The put of a sink. A forwarder tells of the first error of an outage alone, and a later one may be of another kind. */
  watching(sink: Sink): Sink['put'] {
    const put = sink.put.bind(sink)
    return async (items, options) => {
      const outcomes = await put(items, options)
      const lasting = outcomes.find((one) => one.outcome === 'again' && one.isLasting === true)
      if (lasting?.outcome === 'again') this.onLasting(lasting.error)
      return outcomes
    }
  }

  /** The target stores nothing until a user changes something. */
  onLasting(error: Error): void {
    if (error.message === this.#lasting?.message) return
    this.#lasting = error
    const text = `the target takes nothing: ${reasonOf(error)}`
    if (this.#giveUp === undefined) this.#handOver.note(`${text}. Trying again`)
    else this.#handOver.tell(`${text}. Waiting does not change that, so this run ends`)
    this.#giveUp?.()
  }

  begun({ error, by }: ForwarderEvents['away'][0]): void {
    this.#isOfQueue = by === 'queue'
    if (this.#isOfQueue) this.#handOver.note(`nothing is forwarded: ${explain(error)}`)
    else if (error.message !== this.#lasting?.message)
      this.#handOver.note(`the target takes nothing: ${reasonOf(error)}. Trying again`)
  }

  ended(ms: number): void {
    this.#lasting = undefined
    const what = this.#isOfQueue ? 'items are forwarded' : 'the target takes items'
    this.#handOver.note(`${what} again, after ${ageText(ms / 1000)}`)
  }
}

function speak(forwarder: Forwarder, handOver: HandOver, outages: Outages, isVerbose: boolean): void {
  forwarder.on('away', (event) => outages.begun(event))
  forwarder.on('back', ({ ms }) => outages.ended(ms))
  forwarder.on('refused', ({ item, error }) =>
    handOver.tell(`${item.id}: refused, in fail/: ${reasonOf(error)}`),
  )
  forwarder.on('held', ({ error }) => handOver.tell(explain(error)))
  forwarder.on('failed', ({ id, error }) => handOver.tell(`${id}: in fail/: ${explain(error)}`))
  forwarder.on('error', (error) => handOver.tell(explain(error)))
  if (isVerbose)
    forwarder.on('forwarded', ({ item, duplicate }) =>
      handOver.note(`${item.id}: ${duplicate ? 'was there' : 'forwarded'}`),
    )
}
