// Values that a TypeScript program may pass, with the types of the DOM and with those of Node alone.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'

import { expect, test } from '@jest/globals'

import { makeDirectory } from './support/child.js'

const PROJECT = path.resolve(import.meta.dirname, '..')
const PROGRAM = `
import fs from 'node:fs'
import http from 'node:http'
import { PassThrough, Readable } from 'node:stream'
import * as fsq from 'fsq'
import { lock, withLock } from 'fsq/lock'
import { type Drained, advance, drain, testQueue } from 'fsq/testing'

export const payloads = async (request: http.IncomingMessage, file: fs.promises.FileHandle): Promise<fsq.Payload[]> => [
  'text', Buffer.of(1), new Uint8Array(1), new DataView(new ArrayBuffer(1)), new ArrayBuffer(1), new SharedArrayBuffer(1),
  new Blob(['text']), await fs.openAsBlob('file'), new Blob(['text']).stream(), new Response('text').body,
  Readable.from(['text']), new PassThrough(), fs.createReadStream('file'), request,
  (async function* () { yield 'text' })(),
  { json: 1 }, { path: 'file' }, { path: new URL('file:///file') }, { fd: 0 }, file, null,
]
export const files = async (file: fs.promises.FileHandle): Promise<void> => {
  await fsq.enqueue('q', 'path', 'text', 1, 1n, true)
  await fsq.enqueue('q', new URL('file:///path'))
  await fsq.enqueue('q', 0)
  await fsq.enqueue('q', file)
  await fsq.enqueue('q', new Blob(['text']))
  for await (const work of fsq.scan('q', { root: '/', prefetch: 2 })) await fsq.failTmp(work, { delay: 1 })
}
export const locks = async (): Promise<number> => {
  const held = await lock('path', { kind: 'fcntl', start: 1, shared: true, signal: AbortSignal.timeout(1) })
  held.unlock()
  return withLock('path', { timeout: 1 }, ({ fd }) => fd)
}
export const maintenance = async (queue: fsq.Queue): Promise<number> => {
  const { working, oldestAge, nextDue, done }: fsq.Stats = await queue.stats()
  const filter: fsq.FailedFilter = { ids: ['id'], argument: 'a', olderThan: 1, error: 'refused', limit: 10 }
  const { moved, gone } = await queue.redrive(filter, { tries: 'keep', delay: 1, signal: AbortSignal.timeout(1) })
  await queue.redrive('all')
  const { removed } = await queue.prune({ done: { age: 1 }, failed: { count: 1 } })
  for await (const { kind, path, message, fix } of queue.audit())
    if (kind !== 'foreign' && fix?.action === 'set mode') console.log(path, message, fix.mode)
  const { mended, unmended } = await queue.repair({ dryRun: true })
  const reasons: string[] = unmended.map(({ reason }) => reason)
  return (working ?? 0) + (oldestAge ?? 0) + (nextDue?.getTime() ?? 0) + done.total + moved + gone + removed + mended.length + reasons.length
}
export const forwarding = async (queue: fsq.Queue<{ body: number }>): Promise<fsq.ForwarderNumbers> => {
  const sink: fsq.Sink = {
    name: 'test',
    remembers: Infinity,
    async put(items, { signal }) {
      signal.throwIfAborted()
      const outcomes: fsq.PutOutcome[] = []
      for (const { id, args, argBytes, size } of items) console.log(id, args.length, argBytes[0]?.length, size)
      for (const item of items) for await (const part of item.stream()) outcomes.push({ outcome: part.length > 0 ? 'stored' : 'duplicate' })
      return [...outcomes, { outcome: 'again', error: new Error(), isUnsent: true }, { outcome: 'refused', error: new Error() }]
    },
  }
  await using forwarder: fsq.Forwarder = await fsq.forward(queue, sink, { inFlight: 1, keep: Infinity, inDoubt: 'publish', closeOn: ['SIGTERM'] })
  forwarder.on('held', ({ item, since, error }) => console.log(item.id, since.getTime(), error.message))
  forwarder.on('state', ({ state }) => state === 'away')
  // @ts-expect-error: there is no such event
  forwarder.on('stuck', () => undefined)
  return forwarder.numbers
}
// @ts-expect-error: what is for fsq itself is not declared
export const internal = (item: fsq.WorkItem): void => item.outlive(true)
// @ts-expect-error: nor is this
export const alsoInternal = (queue: fsq.Queue): unknown => queue.worked
export const noneGiven: fsq.EnqueueEntry = { data: undefined, args: undefined, delay: undefined, trigger: undefined }
// @ts-expect-error: an outcome says why
export const outcome: fsq.PutOutcome = { outcome: 'refused' }
// @ts-expect-error: all of them are 'all'
export const redriven = (queue: fsq.Queue): Promise<unknown> => queue.redrive()
// @ts-expect-error: limits are those of done or of failed
export const pruned = (queue: fsq.Queue): Promise<unknown> => queue.prune({ age: 1 })
export const working = async (queue: fsq.Queue): Promise<fsq.Worker> => {
  const worker = await queue.work(
    async (item, { signal, progress }) => {
      progress({ page: 1 })
      const body: string = await item.json<string>()
      if (signal.aborted) throw new fsq.RetryLater({ after: 1, cause: signal.reason })
      if (body === '') throw new fsq.PermanentFailure('empty', { cause: 1 })
      item.release({ delay: 1 })
    },
    {
      concurrency: 2, timeout: 1, maxTries: 3, ttl: 1, prefetch: 1, order: 'relaxed', maxCrashes: 0, grace: 1, paused: true,
      backoff: (tries, error, item) => (error instanceof SyntaxError || item.args.length > 1 ? false : tries * 1000),
      keepDone: { age: 1, count: 1 }, keepFailed: { count: 1 }, closeOn: ['SIGTERM'], signal: AbortSignal.timeout(1),
    },
  )
  worker.on('failed', ({ item, id, reason, error, ms }) => {
    const why: fsq.FailureReason = reason
    console.log(item?.args, id, why, error, ms)
  })
  worker.on('retried', (event) => { const due: Date | undefined = event.due; console.log(due, event.try) })
  worker.on('state', ({ state, was }) => { const states: fsq.WorkerState[] = [state, was]; console.log(states) })
  worker.on('report', (report) => { const type: fsq.ReportType = report.type; console.log(type) })
  // @ts-expect-error: the event has no such field
  worker.on('done', ({ error }) => console.log(error))
  worker.concurrency = 3
  const { left } = await worker.close({ grace: 0 })
  const paths: string[] = left.map(({ path }) => path)
  console.log(paths, worker.counters.done, worker.running.size)
  await queue.close({ force: true })
  return worker
}
export const inProcesses = async (queue: fsq.Queue): Promise<fsq.Worker<fsq.RemoteItem>> => {
  const worker = await queue.work(new URL('file:///handler.js'), {
    processes: 2, killAfter: 1, execArgv: ['--no-warnings'], env: { A: 'b' }, backoff: { delay: 1 }, timeout: 1, closeOn: ['SIGTERM'],
  })
  worker.on('done', ({ item, ms }) => { const key: string = item.key; console.log(key, item.enqueuedAt.getTime(), ms) })
  worker.on('error', (error) => { if (error instanceof fsq.WorkerProcessError) console.log(error.pid, error.exitCode, error.signal) })
  // @ts-expect-error: only the child can finish an item
  worker.on('started', ({ item }) => item.done())
  return worker
}
// @ts-expect-error: a module needs child processes
export const unforked = (queue: fsq.Queue): Promise<unknown> => queue.work(new URL('file:///handler.js'), { concurrency: 1 })
// @ts-expect-error: a function cannot be passed to another process
export const decided = (queue: fsq.Queue): Promise<unknown> => queue.work(new URL('file:///handler.js'), { processes: 1, backoff: () => 1 })
export const traced = (context: fsq.FinishContext | fsq.ProcessContext): number => 'action' in context && context.outcome === 'gone' ? 0 : context.try
export const enqueued = ({ ids = [], count, args, size }: fsq.EnqueueContext): unknown[] => [ids[0], count, args?.[0], size]
export const worksAny = (source: fsq.Source): Promise<fsq.Worker<fsq.SourceItem>> =>
  fsq.work(source, async (item) => { await item.text() }, { backoff: { delay: 1, jitter: 0 } })
export const ofQueue = (queue: fsq.Queue): fsq.Source<fsq.WorkItem> => ({ scan: ({ signal }) => queue.scanForever({ signal }) })
export const received = async (source: fsq.DeliverySource, queue: fsq.Queue): Promise<number> => {
  const options: fsq.ReceiveOptions = { inFlight: 8, keep: 1, grace: 1, closeOn: ['SIGTERM'], paused: false }
  const receiver: fsq.Receiver = await fsq.receive(source, queue, options)
  receiver.on('done', ({ item }) => console.log(item.id, item.argBytes, item.stream?.()))
  const { taken, known, pending = 0 }: fsq.ReceiverNumbers = receiver.numbers
  await receiver.close()
  return taken + known + pending
}
interface Stamped extends fsq.Delivery { readonly stamp: number }
export const stamped = async (source: fsq.DeliverySource<Stamped>, queue: fsq.Queue<{ body: { a: 1 } }>): Promise<void> => {
  const receiver = await fsq.receive(source, queue)
  receiver.on('failed', ({ item }) => item?.stamp)
}
export const sameHandler = (source: fsq.DeliverySource, handler: fsq.Handler<fsq.SourceItem>): Promise<unknown> =>
  fsq.work(source, handler)
// @ts-expect-error: a receiver retries by itself
export const limited = (source: fsq.DeliverySource, queue: fsq.Queue): Promise<unknown> => fsq.receive(source, queue, { backoff: 1 })
// @ts-expect-error: its items need ids that name their messages for ever
export const nameless = (source: fsq.Source, queue: fsq.Queue): Promise<unknown> => fsq.receive(source, queue)
// @ts-expect-error: a worker needs a handler
export const unhandled = (queue: fsq.Queue): Promise<unknown> => queue.work({ concurrency: 1 })
// @ts-expect-error: failed items are never discarded
export const forgetful = (queue: fsq.Queue): Promise<unknown> => queue.work(() => 0, { keepFailed: false })
// @ts-expect-error: sources know of no tries
export const tried = (source: fsq.Source): Promise<unknown> => fsq.work(source, () => 0, { maxTries: 1 })
interface Invoice { readonly to: string; readonly cents: number }
declare const schema: fsq.StandardSchemaV1<{ readonly to: string; readonly cents?: number }, Invoice>
declare const userId: fsq.StandardSchemaV1<[userId: string]>
export const typed = async (): Promise<void> => {
  const queue = await fsq.Queue.install('q', { root: '/', force: true, body: schema, args: userId })
  await queue.enqueue({ json: { to: 'a' } }, ['user'], { delay: 1 })
  queue.enqueueSync({ json: { to: 'a', cents: 1 } }, ['user'])
  await queue.enqueueMany([{ data: { json: { to: 'a' } }, args: ['user'], delay: 1 }])
  const worker = await queue.work(
    async (item, { signal }) => {
      const cents: number = item.body.cents
      const [user] = item.args
      const upper: string = user.toUpperCase()
      console.log(cents, upper, signal)
    },
    { backoff: (tries, _error, item) => item.body.cents * tries },
  )
  worker.on('failed', ({ item, reason }) => console.log(item?.body.to, reason === 'invalid'))
  const any: fsq.Worker = worker
  const invoices: fsq.Worker<fsq.WorkItem<Invoice, [string]>> = worker
  for await (const item of queue.scan()) {
    const { body, args: [user] } = await queue.parse(item)
    console.log(body.to, user.length)
    // @ts-expect-error: it is not parsed
    console.log(item.body.to)
  }
  const general: fsq.Queue = queue
  const same: fsq.Queue<{ args: typeof userId; body: typeof schema }> = queue
  const bodies: fsq.Queue<{ body: typeof schema }> = queue
  console.log(any, invoices, general, same, bodies)
  // @ts-expect-error: the body has no such type
  await queue.enqueue({ json: { to: 1 } }, ['user'])
  // @ts-expect-error: a payload is { json }
  await queue.enqueue('text', ['user'])
  // @ts-expect-error: a payload is { json } alone
  await queue.enqueue({ json: { to: 'a' }, path: '/' }, ['user'])
  // @ts-expect-error: there is one argument
  await queue.enqueue({ json: { to: 'a' } }, ['user', 'more'])
  // @ts-expect-error: the argument is needed
  await queue.enqueue({ json: { to: 'a' } })
  // @ts-expect-error: also by a synchronous call
  queue.enqueueSync({ json: { to: 'a' } }, undefined)
  // @ts-expect-error: also in an entry
  await queue.enqueueMany([{ data: { json: { to: 'a' } } }])
  // @ts-expect-error: an entry needs a body
  await queue.enqueueMany([{ args: ['user'] }])
  // @ts-expect-error: the output has no such field
  await queue.work((item) => item.body.nothing)
}
export const typesAreGiven = (): fsq.Queue<{ args: [userId: string]; body: Invoice }> => {
  const parse = (value: unknown): Invoice => ({ to: String(value), cents: 1 })
  // @ts-expect-error: the type of the arguments needs a parser
  console.log(new fsq.Queue<{ args: [userId: string]; body: Invoice }>('q', { body: parse }))
  // @ts-expect-error: the parser gives no invoice
  console.log(new fsq.Queue<{ body: Invoice }>('q', { body: String }))
  // @ts-expect-error: a parser is a schema or a function
  console.log(new fsq.Queue('q', { body: 1 }))
  // @ts-expect-error: arguments are texts
  console.log(new fsq.Queue('q', { args: () => [1] }))
  // @ts-expect-error: there is no such option
  console.log(new fsq.Queue('q', { body: parse, bodies: parse }))
  return new fsq.Queue<{ args: [userId: string]; body: Invoice }>('q', { body: parse, args: userId })
}
export const inferred = async (): Promise<void> => {
  const queue = new fsq.Queue('q', { body: async (value) => ({ text: String(value) }) })
  await queue.enqueue({ json: { text: 'a' } }, ['any', 1, true])
  await queue.enqueue({ json: { text: 'a' } })
  const optional = new fsq.Queue('q', { args: (value) => value as [user?: string] })
  await optional.enqueue('text')
  optional.enqueueSync('text', undefined, { delay: 1 })
  await optional.enqueueMany([{ data: 'text' }, { args: ['user'] }])
  await queue.work(({ body }) => body.text.length)
  const untyped = new fsq.Queue('q', { maxTries: 2 })
  const options: fsq.QueueOptions = { maxTries: 2, onReport: () => undefined }
  const same: fsq.Queue = new fsq.Queue('q', options)
  const first: string | undefined = (await untyped.scan().next()).value?.args[0]
  const handle: fsq.Handler<fsq.WorkItem> = (item) => item.args.join()
  await untyped.work(handle, { backoff: 1 } satisfies fsq.WorkOptions)
  await queue.work(handle)
  const handleInvoice: fsq.Handler<fsq.WorkItem<Invoice>> = ({ body }) => body.to
  // @ts-expect-error: the items of the queue are no invoices
  await untyped.work(handleInvoice)
  // @ts-expect-error: it takes any payload, and hands out any item
  const wrong: fsq.Queue<{ body: Invoice }> = untyped
  console.log(same, first, wrong)
}
export const testing = async (): Promise<fsq.Queue> => {
  const queue = await testQueue({ body: schema, maxTries: 2, name: 'q' })
  await queue.enqueue({ json: { to: 'a' } })
  const { done, retried, failed, errors } = await drain(queue, (item) => item.body.cents, { concurrency: 2, maxTries: 3 })
  const cents: number[] = done.map(({ body }) => body.cents)
  const due: number = advance(queue, 1000)
  const untyped: Drained<fsq.WorkItem> = await drain(await testQueue(), (item) => item.text())
  console.log(cents, retried.map((event) => event.try), failed.map(({ reason }) => reason), errors, due, untyped.done.length)
  await queue.remove()
  await testQueue({ claims: 'rename', triggered: true })
  // @ts-expect-error: the directory is a temporary one
  await testQueue({ root: '/' })
  // @ts-expect-error: it is not to be paused
  await drain(queue, () => 0, { paused: true })
  return queue
}
export const issuesOf = (error: fsq.PayloadError): readonly PropertyKey[] | undefined => error.issues?.[0]?.path
export const isDown = (error: fsq.FsqError): boolean => error.code === 'ERR_FSQ_QUEUE_DOWN'
// @ts-expect-error: no error has this code
export const isDwon = (error: fsq.FsqError): boolean => error.code === 'ERR_FSQ_QUEUE_DWON'
export const code: fsq.FsqErrorCode = fsq.SettingError.code
export const advice = (error: fsq.FsqError): string | undefined => error.advice
export const advised = new fsq.QueueDownError('It is down', { advice: 'Take it up' })
// @ts-expect-error: the advice is read-only
advised.advice = 'Wait'
// @ts-expect-error: no contents are null
export const nothing: fsq.Payload = undefined
// @ts-expect-error: a descriptor is { fd }
export const number: fsq.Payload = 1
// @ts-expect-error: there is no such setting
fsq.setConst('FSQ_NOTHING', 1)
`

// With the types of the libraries checked, too, as a program does that sets no skipLibCheck.
/** The client of NATS has declarations that are wrong with `exactOptionalPropertyTypes`, so those of libraries are not checked. */
const BRIDGES = `
import http from 'node:http'
import * as fsq from 'fsq'
import { jetstreamSource, natsSink, streamConfig } from 'fsq/nats'
import { push, receiver } from 'fsq/remote'

export const bridges = async (queue: fsq.Queue): Promise<number> => {
  const sink: fsq.Sink = natsSink({ stream: 'S', subject: (item) => 's.' + item.key, strict: true, servers: ['nats://h'] })
  const source = jetstreamSource({ stream: 'S', consumer: 'c', deadLetter: false })
  const receiving = await fsq.receive(source, queue, { inFlight: 10, keep: 1000 })
  const worker = await fsq.work(source, async (item) => console.log(item.args[0], await item.text()), { concurrency: 4 })
  const server = http.createServer(receiver({ queues: ['q'], root: '/' }))
  const forwarder: fsq.Forwarder = await push(queue, 'http://h:1', { queue: 'q', inFlight: 1 })
  // @ts-expect-error: a stream is needed
  natsSink({ subject: 's' })
  // @ts-expect-error: there is no such option
  receiver({ queues: ['q'], nothing: 1 })
  console.log(sink.name, server.listening, worker.state, streamConfig({ stream: 'S', subject: 's' }).max_age)
  return receiving.numbers.taken + forwarder.numbers.forwarded
}
`

function problemsOf(program: string, options: object): string {
  const directory = makeDirectory()
  fs.writeFileSync(path.join(directory, 'program.mts'), program)
  const compilerOptions = {
    ...options,
    target: 'es2022',
    module: 'nodenext',
    noEmit: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    types: ['node'],
    typeRoots: [path.join(PROJECT, 'node_modules/@types')],
    paths: {
      fsq: [path.join(PROJECT, 'dist/index.d.ts')],
      'fsq/lock': [path.join(PROJECT, 'dist/lock.d.ts')],
      'fsq/testing': [path.join(PROJECT, 'dist/testing.d.ts')],
      'fsq/nats': [path.join(PROJECT, 'dist/nats.d.ts')],
      'fsq/remote': [path.join(PROJECT, 'dist/remote.d.ts')],
      '@nats-io/*': [path.join(PROJECT, 'node_modules/@nats-io/*')],
    },
  }
  const configuration = path.join(directory, 'tsconfig.json')
  fs.writeFileSync(configuration, JSON.stringify({ compilerOptions, files: ['program.mts'] }))
  const compiler = createRequire(import.meta.url).resolve('typescript/bin/tsc')
  const { stdout } = spawnSync(process.execPath, [compiler, '--project', configuration], {
    encoding: 'utf8',
  })
  return stdout
}

test.each([
  ['all that TypeScript has by default', {}],
  ['those without the DOM', { lib: ['es2022'] }],
])(
  'types: %s',
  (_what, libraries) => {
    expect(problemsOf(PROGRAM, libraries)).toBe('')
  },
  120_000,
)

test('types: fsq/nats and fsq/remote', () => {
  expect(problemsOf(BRIDGES, { lib: ['es2023', 'esnext.disposable'], skipLibCheck: true })).toBe('')
}, 120_000)
