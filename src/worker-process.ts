/**
 * The program of a child process of `queue.work(url, { processes })`: dist/worker-process.js.
 *
 *     start ──> the module is imported ──> the queue is opened ──> ready ── go ──> works ──> closes ──> the process ends
 *                    └── fails: the process ends, and has claimed nothing
 *
 * It closes when the parent asks for it, on SIGTERM and SIGHUP, and when the parent has gone. It ignores SIGINT: Ctrl-C reaches all
 * processes of the terminal, and the parent decides what it means.
 *
 * @module
 */
import process from 'node:process'
import { Worker as Thread } from 'node:worker_threads'

// The copy of the package that handlers get, too, if they import it.
import { type Handler, type WorkItem, type Worker, type WorkerEvents, Queue } from './index.js'
import {
  type Envelope,
  type Failing,
  type FromChild,
  type Job,
  type SentEvent,
  type SentItem,
  type ToChild,
  sendEvent,
  sendValue,
} from './work/processes/messages.js'
import { setImmediate, setTimeout } from './real-timers.js'

const EVENTS = [
  'started',
  'done',
  'retried',
  'postponed',
  'failed',
  'released',
  'stuck',
  'crashed',
  'state',
  'report',
  'error',
] as const satisfies readonly (keyof WorkerEvents<WorkItem>)[]

// What a module has opened may end by itself in this time.
const END_MS = 1000

class WorkerProcess {
  #job: Job | undefined
  #handler: Handler<WorkItem> | undefined
  #backoff: unknown
  #parsers: object = {}
  #queue: Queue | undefined
  /** The worker; `undefined`: it cannot be made, and the process ends. Not set: the parent has not said yet that it is to be made. */
  #working: Promise<Worker | undefined> | undefined
  #isLeaving = false
  readonly #outbox = new Outbox()

  receive(message: ToChild): void {
    switch (message.type) {
      case 'start':
        void this.#start(message.job)
        break
      case 'go':
        this.#working = this.#go(message.paused, message.concurrency)
        break
      case 'pause':
        void this.#tell((worker) => worker.pause())
        break
      case 'resume':
        void this.#tell((worker) => worker.resume())
        break
      case 'concurrency':
        void this.#tell((worker) => (worker.concurrency = message.concurrency))
        break
      case 'ping':
        this.#outbox.send({ type: 'pong' })
        break
      case 'idle':
        void this.#tell(async (worker) => this.#tellIdle(worker, message.round))
        break
      case 'close':
        void this.#close(message.grace)
        break
    }
  }

  /** The process has been told to end, by a signal of the system. */
  leave(): void {
    this.#outbox.send({ type: 'closing' })
    void this.#close()
  }

  /** Without a parent, no process watches over the handlers. */
  async onParentGone(): Promise<void> {
    if (this.#isLeaving) return
    const worker = await this.#working
    await worker?.close()
    process.exit(0)
  }

  async #start(job: Job): Promise<void> {
    this.#job = job
    if (job.timeout > 0) killWithoutParent(job)
    try {
      const exported = (await import(job.module)) as {
        readonly default?: unknown
        readonly backoff?: unknown
        readonly body?: unknown
        readonly args?: unknown
      }
      const handler = handlerOf(exported.default)
      if (handler === undefined) {
        this.#fail('export', 'its default export is no function')
        return
      }
      const missing = job.parsers.find((name) => exported[name] === undefined)
      if (missing !== undefined) {
        this.#fail('export', `it does not export the parser '${missing}' that its queue has`)
        return
      }
      this.#handler = handler
      this.#backoff = exported.backoff
      this.#parsers = Object.fromEntries(job.parsers.map((name) => [name, exported[name]]))
    } catch (error) {
      this.#fail('import', error)
      return
    }
    try {
      const queue = new Queue(job.queue, { ...job.settings, ...this.#parsers })
      this.#queue = job.host === undefined ? queue : queue.host(job.host)
      this.#outbox.send({ type: 'ready' })
    } catch (error) {
      this.#fail('work', error)
    }
  }

  async #go(paused: boolean, concurrency: number): Promise<Worker | undefined> {
    if (this.#queue === undefined || this.#handler === undefined) return undefined
    // The parent has checked the options, and work() checks what the module exports.
    const options = {
      ...(this.#backoff === undefined ? {} : { backoff: this.#backoff }),
      ...this.#job?.options,
      paused,
      concurrency,
    } as object
    try {
      const worker = await this.#queue.work(this.#handler, options)
      this.#passOn(worker)
      return worker
    } catch (error) {
      this.#fail('work', error)
      return undefined
    }
  }

  /** The worker may still be in the making. */
  async #tell(what: (worker: Worker) => unknown): Promise<void> {
    const worker = await this.#working
    if (worker !== undefined) what(worker)
  }

  #passOn(worker: Worker): void {
    const runs = new Runs()
    for (const name of EVENTS) {
      worker.on(name, (event: unknown) => {
        this.#outbox.add(sendEvent(name, event, (item) => runs.describe(item as WorkItem)))
        // The handler may never let another message out, or end the process.
        if (name === 'started') this.#outbox.flush()
      })
    }
    // The parent waits for the first state. The worker may have found the queue down before it had listeners.
    this.#outbox.add({ name: 'state', fields: { state: worker.state, was: 'running' } })
  }

  async #tellIdle(worker: Worker, round: number): Promise<void> {
    try {
      await worker.idle()
    } catch {
      // The worker closes.
      return
    }
    this.#outbox.send({ type: 'idle', round, started: worker.counters.started })
  }

  async #close(grace?: number): Promise<void> {
    const worker = await this.#working
    if (worker !== undefined) {
      await worker.close({ grace })
      this.#outbox.send({ type: 'closed' })
      // Releases what cannot be finished: that must not keep the process alive.
      await this.#queue?.close()
      await worker.gone
    }
    this.#end()
  }

  #end(): void {
    if (this.#isLeaving) return
    this.#isLeaving = true
    process.off('SIGINT', ignore)
    this.#outbox.flush()
    this.#outbox.whenSent(() => {
      if (process.connected) process.disconnect()
    })
    setTimeout(() => process.exit(0), END_MS).unref()
  }

  #fail(what: Failing, error: unknown): void {
    this.#outbox.send({ type: 'failed', what, error: sendValue(error) })
    this.#outbox.whenSent(() => process.exit(1))
  }
}

/** The numbers of the claims that the events are about. */
class Runs {
  readonly #numbers = new WeakMap<WorkItem, number>()
  #last = 0

  describe(item: WorkItem): SentItem {
    let run = this.#numbers.get(item)
    if (run === undefined) this.#numbers.set(item, (run = ++this.#last))
    // JSON cannot hold all that a parser may make of the arguments.
    const { id, key, arguments: args, tries, enqueuedAt, size } = item
    return { run, id, key, args, tries, enqueuedAt: enqueuedAt.getTime(), size }
  }
}

/** The messages to the parent. Events of one turn of the event loop go together. */
class Outbox {
  #events: SentEvent[] = []
  #isPlanned = false

  add(event: SentEvent): void {
    this.#events.push(event)
    if (this.#isPlanned) return
    this.#isPlanned = true
    setImmediate(() => {
      this.#isPlanned = false
      this.flush()
    })
  }

  send(message: FromChild): void {
    this.flush()
    post(message)
  }

  flush(): void {
    if (this.#events.length === 0) return
    const events = this.#events
    this.#events = []
    // If one event cannot be sent, the others still can.
    if (post({ type: 'events', events }) !== undefined) for (const event of events) postAlone(event)
  }

  /** Calls back when all that was sent before has been written. */
  whenSent(callback: () => void): void {
    post({ type: 'pong' }, callback)
  }
}

/** If the event cannot be sent, the parent gets an `error` event, and the event without the error that it carries. */
function postAlone(event: SentEvent): void {
  const cause = post({ type: 'events', events: [event] })
  if (cause === undefined) return
  const text = `The event '${event.name}' of the worker process ${process.pid} cannot be sent to its parent`
  const error = sendValue(new Error(text, { cause }))
  post({ type: 'events', events: [{ name: 'error', fields: { error } }] })
  // Otherwise the parent believes that the handler still runs, and kills this process after the timeout.
  if (event.name !== 'error' && 'error' in event.fields)
    post({ type: 'events', events: [{ name: event.name, fields: { ...event.fields, error } }] })
}

/**
 * Sends a message.
 *
 * @param callback - Called when the message has been written, or cannot be sent.
 * @returns The error of a message that JSON cannot hold. An uncaught one would end this process with all its items in hand.
 */
function post(message: FromChild, callback: () => void = () => undefined): unknown {
  try {
    const envelope: Envelope = { fsq: message }
    if (process.connected) process.send?.(envelope, undefined, undefined, callback)
    else callback()
    return undefined
  } catch (error) {
    callback()
    return error
  }
}

/** Also of a module that was compiled from an ES module to CommonJS. */
function handlerOf(exported: unknown): Handler<WorkItem> | undefined {
  const inner = (exported as { readonly default?: unknown } | null | undefined)?.default
  const handler = typeof exported === 'function' ? exported : inner
  return typeof handler === 'function' ? (handler as Handler<WorkItem>) : undefined
}

function ignore(): void {
  // The parent closes its children.
}

/**
 * Ends this process if the parent has gone and a handler computes without a pause, so that the main thread never hears of it. The parent
 * would have killed it after the same time.
 */
function killWithoutParent({ parent, timeout, killAfter, options }: Job): void {
  const { grace = 10_000 } = options as { readonly grace?: number }
  const code = `
    const { workerData } = require('node:worker_threads')
    const looks = setInterval(() => {
      if (process.ppid === workerData.parent) return
      clearInterval(looks)
      setTimeout(() => process.kill(process.pid, 'SIGKILL'), workerData.ms)
    }, ${LOOK_MS})`
  const ms = Math.max(timeout + killAfter, grace + 2 * END_MS)
  new Thread(code, { eval: true, execArgv: [], env: {}, workerData: { parent, ms } }).unref()
}

const LOOK_MS = 1000

const child = new WorkerProcess()
process.on('message', (message) => child.receive(message as ToChild))
process.on('disconnect', () => void child.onParentGone())
process.on('SIGINT', ignore)
// Once: the second signal has its usual effect.
for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.once(signal, () => child.leave())
if (process.send === undefined) {
  process.stderr.write('This program is started by queue.work(url, { processes }) of the package fsq\n')
  process.exitCode = 1
}
