// The operations of the crash and errno tests, one for each child process, on a queue `q` in `<dir>/root`.
// Each item carries its label and its size in its arguments, so that every reader can tell what its content must be.
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { Readable } from 'node:stream'

export const NAME = 'q'

/** The content of the item with these arguments. */
export function contentOf(label, size) {
  return Buffer.alloc(Number(size), label)
}

function argsOf({ label, size }) {
  return [label, String(size)]
}

function payloadOf({ dir }, { label, size, kind }) {
  const source = path.join(dir, `source-${label}`)
  const content = contentOf(label, size)
  switch (kind) {
    case 'stream':
      return Readable.from(chunksOf(content))
    case 'path':
      fs.writeFileSync(source, content)
      return { path: source }
    case 'descriptor':
      fs.writeFileSync(source, content)
      return { fd: fs.openSync(source) }
    case 'pipe':
      return { fd: filledPipe(source, content) }
    default:
      return size === 0 ? null : content
  }
}

function* chunksOf(content) {
  for (let from = 0; from < content.length; from += 100_000) yield content.subarray(from, from + 100_000)
}

/** The reading end of a pipe that holds the content and has no writer any more. */
function filledPipe(file, content) {
  execFileSync('mkfifo', [file])
  const descriptor = fs.openSync(file, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
  fs.writeFileSync(file, content)
  return descriptor
}

function closePayload(payload) {
  if (typeof payload?.fd === 'number' && !(payload instanceof Readable)) fs.closeSync(payload.fd)
}

async function enqueueAll(context, queue, items) {
  for (const item of items)
    await queue.enqueue(payloadOf(context, item), argsOf(item), { delay: item.delay ?? 0 })
}

/** Says what became of each entry; rejects as the enqueue did. */
async function acknowledge(items, say, enqueueing) {
  const outcomes = await enqueueing.then(
    (ids) => ids.map((id) => ({ id })),
    (error) => error.outcomes ?? items.map(() => ({ error })),
  )
  outcomes.forEach(({ id, error }, index) => {
    const { label } = items[index]
    if (id !== undefined) say({ ack: id, label })
    else if (error.code === 'ERR_FSQ_NOT_DURABLE') say({ undurable: error.id, label })
  })
  await enqueueing
}

function enqueueing({ items, way = 'each', faults = '', umask = 0o022, options = {} }) {
  return {
    kind: 'enqueue',
    labels: items.map(({ label }) => label),
    faults,
    options,
    async setup({ Queue, root }) {
      return { queue: await Queue.install(NAME, { root, ...options }) }
    },
    async act(context, { queue }) {
      process.umask(umask)
      const payloads = items.map((item) => payloadOf(context, item))
      try {
        if (way === 'many') {
          const entries = items.map((item, index) => ({ data: payloads[index], args: argsOf(item) }))
          await acknowledge(items, context.say, queue.enqueueMany(entries))
          return
        }
        for (const [index, item] of items.entries()) {
          const add = async () => [
            way === 'sync'
              ? queue.enqueueSync(payloads[index], argsOf(item))
              : await queue.enqueue(payloads[index], argsOf(item), { delay: item.delay ?? 0 }),
          ]
          await acknowledge([item], context.say, add())
        }
      } finally {
        payloads.forEach(closePayload)
      }
    },
  }
}

const FAILED = { error: new Error('no'), ms: 1 }

function guardOf(queue) {
  return queue.openGuard({ maxCrashes: 3, concurrency: () => 1, onCrashed: () => undefined })
}

function working({
  items = [{ label: 'a', size: 10 }],
  action = 'done',
  together = false,
  argument,
  faults = '',
  options = {},
  scan = {},
  labels = items.map(({ label }) => label),
  runs = true,
  lockKind,
  claims,
  logged = false,
  prepare = async () => {},
}) {
  return {
    // In a queue that several machines share, an item is also in claimed/.
    kind: claims === undefined ? 'work' : 'shared',
    labels,
    runs,
    action,
    faults,
    options: { maxTries: 5, ...options },
    async setup(context) {
      const { Queue, root } = context
      // Where others are kept out, items need no mode for them.
      const kind = lockKind === 'fcntl' ? { lockKind, queueMode: '0700' } : {}
      const installed = { ...this.options, ...kind, claims }
      const queue = await Queue.install(NAME, { root, ...installed, onReport: context.report })
      await enqueueAll(context, queue, items)
      return { queue: (await prepare(context, queue)) ?? queue }
    },
    async act({ say, finish }, { queue }) {
      const guard = logged ? guardOf(queue) : undefined
      const perform = async (item) => {
        const [label] = item.args
        guard?.failed(item, FAILED)
        await finish(item, action, async () => item[action](argument))
        say({ did: action, label, id: item.id })
      }
      const taken = []
      const prefetch = together ? items.length : 1
      try {
        for await (const item of queue.scan({ prefetch, ...scan })) {
          say({ start: item.args[0], id: item.id })
          const content = await item.bytes()
          if (!content.equals(contentOf(...item.args))) say({ torn: item.id })
          if (together) taken.push(perform(item))
          else await perform(item)
        }
      } finally {
        await Promise.allSettled(taken)
        guard?.close()
      }
      await Promise.all(taken)
    },
  }
}

function installing({ faults = '', options = {}, force = false, before = false }) {
  return {
    kind: 'install',
    labels: before ? ['old'] : [],
    faults,
    options,
    before,
    async setup(context) {
      if (!before) return {}
      const queue = await context.Queue.install(NAME, { root: context.root })
      await enqueueAll(context, queue, [{ label: 'old', size: 3 }])
      await queue.close()
      return {}
    },
    async act({ Queue, root, say }) {
      const queue = await Queue.install(NAME, { root, force, ...options })
      say({ installed: true })
      await queue.close()
    },
  }
}

function uninstalling({ faults = '', force = false, items = [] }) {
  return {
    kind: 'uninstall',
    labels: items.map(({ label }) => label),
    faults,
    options: {},
    async setup(context) {
      const queue = await context.Queue.install(NAME, { root: context.root })
      await enqueueAll(context, queue, items)
      return { queue }
    },
    async act({ say }, { queue }) {
      await queue.uninstall({ force })
      say({ uninstalled: true })
    },
  }
}

const withTries = (name, tries) => name.replace(/^((?:_[^_]*){4})_[^_]*/, `$1_${tries}`)
const withEntropy = (name) => name.replace(/^(_[^_]*)_[^_]*/, '$1_999999')
const onlyName = (directory) => fs.readdirSync(directory)[0]
const inQueue = (queue, place) => path.join(queue.path, place)
const TWO = [
  { label: 'a', size: 3000 },
  { label: 'b', size: 10 },
]
const MANY = [
  { label: 'a', size: 5000 },
  { label: 'b', size: 0 },
  { label: 'c', size: 300_000, kind: 'path' },
  { label: 'd', size: 1 },
]
const THREE = [...TWO, { label: 'c', size: 0 }]
const BYTES = [{ label: 'a', size: 10_000 }]
const STREAM = [{ label: 'a', size: 600_000, kind: 'stream' }]
const OF_ALL_KINDS = [
  { label: 'a', size: 300_000, kind: 'stream' },
  { label: 'b', size: 10 },
  { label: 'c', size: 2000, kind: 'stream' },
  { label: 'd', size: 5000, kind: 'descriptor' },
]
const EMPTY = [{ label: 'a', size: 0 }]
const RENAME_MISSING = 'finish.rename=errno:22'
// As on ext4 and xfs, wherever the tests run.
const WRITES_OUT = 'enqueue.writesout=answer:1'
const NETWORK = 'open.fstatfs=answer:0x6969'
const UNNAMED_MISSING = 'enqueue.open#1=errno:95'
const full = { durability: 'full' }
const none = { durability: 'none' }
const fcntl = { lockKind: 'fcntl' }
const rename = { claims: 'rename' }

async function takeNamesInDone(context, queue) {
  for (const name of fs.readdirSync(inQueue(queue, 'queue')))
    fs.writeFileSync(path.join(inQueue(queue, 'done'), name), 'taken')
}

/** A worker has died with the items in hand. */
async function dieWithItems(context, queue) {
  const worker = path.join(queue.path, 'claimed', 'host-1-0123456789abcdef')
  fs.mkdirSync(worker)
  for (const file of ['.owned', '.lock']) fs.writeFileSync(path.join(worker, file), '')
  for (const name of fs.readdirSync(inQueue(queue, 'queue')))
    fs.renameSync(path.join(inQueue(queue, 'queue'), name), path.join(worker, name))
}

/** The first item has a log. */
async function retryFirst(context, queue) {
  const guard = guardOf(queue)
  for await (const item of queue.scan()) {
    guard.failed(item, FAILED)
    await item.retry()
    break
  }
  guard.close()
}

/** Opened while the faults are there: on a network file system, say. */
async function openAnew({ Queue, root, report }, queue) {
  const { maxTries } = queue.settings
  await queue.close()
  // That of locks on a network file system has tests of its own, and stderr must be empty.
  process.removeAllListeners('warning')
  return new Queue(NAME, { root, maxTries, allowNetwork: true, onReport: report })
}

// Each look for `down` is made: otherwise their number would depend on the time that a run takes.
export const EACH_LOOK = 'claim.down=answer:0'

export const scenarios = {
  'enqueue bytes': enqueueing({ items: BYTES }),
  'enqueue bytes, durability none': enqueueing({ items: BYTES, options: none }),
  'enqueue a path': enqueueing({ items: [{ label: 'a', size: 300_000, kind: 'path' }] }),
  'enqueue nothing': enqueueing({ items: EMPTY }),
  'enqueue nothing, inexact umask': enqueueing({ items: EMPTY, umask: 0o077 }),
  'enqueue with owner and delay': enqueueing({
    items: [{ label: 'a', size: 100, delay: 30 }],
    options: { itemUser: process.getuid(), itemGroup: process.getgid() },
  }),
  'enqueue many': enqueueing({ items: MANY, way: 'many' }),
  'enqueue many, written out': enqueueing({ items: MANY, way: 'many', faults: WRITES_OUT }),
  'enqueue many, durability none': enqueueing({ items: TWO, way: 'many', options: none }),
  'enqueue synchronously': enqueueing({ items: BYTES, way: 'sync' }),
  'enqueue through tmp': enqueueing({ items: TWO, faults: UNNAMED_MISSING }),
  'enqueue many through tmp': enqueueing({ items: TWO, way: 'many', faults: UNNAMED_MISSING }),
  'enqueue through proc': enqueueing({ items: TWO, faults: 'enqueue.link#1=errno:2' }),
  'enqueue built again in tmp': enqueueing({
    items: BYTES,
    faults: 'enqueue.link#1=errno:2;enqueue.link#2=errno:2',
  }),
  'enqueue, name taken': enqueueing({ items: BYTES, faults: 'enqueue.link#1=errno:17' }),
  'enqueue, name taken in tmp': enqueueing({
    items: BYTES,
    faults: `${UNNAMED_MISSING};enqueue.open#2=errno:17`,
  }),
  'enqueue a stream': enqueueing({ items: STREAM }),
  'enqueue a stream, durability none': enqueueing({ items: STREAM, options: none }),
  'enqueue a stream with owner and delay': enqueueing({
    items: [{ ...STREAM[0], delay: 30 }],
    options: { itemUser: process.getuid(), itemGroup: process.getgid() },
  }),
  'enqueue a stream through tmp': enqueueing({ items: STREAM, faults: UNNAMED_MISSING }),
  'enqueue a stream built again in tmp': enqueueing({
    items: STREAM,
    faults: 'enqueue.link#1=errno:2;enqueue.link#2=errno:2',
  }),
  'enqueue a stream, name taken': enqueueing({ items: STREAM, faults: 'enqueue.link#1=errno:17' }),
  'enqueue a descriptor': enqueueing({ items: [{ label: 'a', size: 300_000, kind: 'descriptor' }] }),
  'enqueue a pipe': enqueueing({ items: [{ label: 'a', size: 5000, kind: 'pipe' }] }),
  'enqueue all kinds': enqueueing({ items: OF_ALL_KINDS, way: 'many' }),

  install: installing({}),
  'install with owner': installing({
    options: { queueUser: process.getuid(), queueGroup: process.getgid() },
  }),
  'install with fcntl locks': installing({ options: { lockKind: 'fcntl', itemMode: '0660' } }),
  'install with claims by renaming': installing({ options: { claims: 'rename' } }),
  'install by force': installing({ force: true, before: true }),
  'install by force, no exchange': installing({
    force: true,
    before: true,
    faults: 'install.rename#2=errno:22',
  }),
  'install by force where nothing is': installing({ force: true }),

  uninstall: uninstalling({}),
  'uninstall by force': uninstalling({ force: true, items: TWO }),
  'uninstall, no exclusive rename': uninstalling({ faults: 'retire.rename#1=errno:22' }),

  done: working({}),
  'done, large': working({ items: [{ label: 'a', size: 100_000 }] }),
  'done, full': working({ options: full }),
  'done, full, together': working({ items: THREE, together: true, options: full }),
  fail: working({ action: 'fail' }),
  discard: working({ action: 'discard', options: full }),
  retry: working({ action: 'retry', argument: {} }),
  'retry with delay, full': working({ action: 'retry', argument: { delay: 20 }, options: full }),
  'retry, logged': working({ action: 'retry', argument: {}, logged: true, items: TWO, prepare: retryFirst }),
  'retry, logged, fcntl locks': working({ ...fcntl, action: 'retry', argument: {}, logged: true }),
  release: working({ action: 'release' }),
  'done by link': working({ faults: RENAME_MISSING }),
  'done by link, full, together': working({
    items: TWO,
    faults: RENAME_MISSING,
    together: true,
    options: full,
  }),
  'fail by link': working({ action: 'fail', faults: RENAME_MISSING }),
  'retry by link': working({ action: 'retry', argument: {}, faults: RENAME_MISSING }),
  'discard by link': working({ action: 'discard', faults: RENAME_MISSING }),
  'done, name taken': working({ prepare: takeNamesInDone }),
  'done by link, name taken': working({ faults: RENAME_MISSING, prepare: takeNamesInDone }),
  'done, link not permitted': working({
    items: [{ label: 'a', size: 10 }],
    faults: 'finish.rename#1=errno:22;finish.link#1=errno:1',
  }),
  malformed: working({
    items: [],
    labels: ['_garbage'],
    runs: false,
    async prepare(context, queue) {
      fs.writeFileSync(path.join(inQueue(queue, 'queue'), '_garbage'), 'x')
    },
  }),
  exhausted: working({
    items: [{ label: 'a', size: 5 }],
    scan: { maxTries: 1 },
    runs: false,
    async prepare(context, queue) {
      const name = onlyName(inQueue(queue, 'queue'))
      const tried = withTries(name, 3)
      fs.renameSync(path.join(inQueue(queue, 'queue'), name), path.join(inQueue(queue, 'queue'), tried))
    },
  }),
  'half moved to done': working({
    runs: false,
    items: [{ label: 'a', size: 5 }],
    async prepare(context, queue) {
      const name = onlyName(inQueue(queue, 'queue'))
      fs.linkSync(path.join(inQueue(queue, 'queue'), name), path.join(inQueue(queue, 'done'), name))
    },
  }),
  'half retried': working({
    items: [{ label: 'a', size: 5 }],
    async prepare(context, queue) {
      const name = onlyName(inQueue(queue, 'queue'))
      const tried = withTries(name, 1)
      fs.linkSync(path.join(inQueue(queue, 'queue'), name), path.join(inQueue(queue, 'queue'), tried))
    },
  }),
  'done, a backup by hard link': working({
    async prepare({ dir }, queue) {
      const name = onlyName(inQueue(queue, 'queue'))
      fs.linkSync(path.join(inQueue(queue, 'queue'), name), path.join(dir, 'backup'))
    },
  }),
  'half moved under another name': working({
    runs: false,
    faults: 'claim.exclusive=errno:22',
    async prepare(context, queue) {
      const name = onlyName(inQueue(queue, 'queue'))
      fs.linkSync(
        path.join(inQueue(queue, 'queue'), name),
        path.join(inQueue(queue, 'done'), withEntropy(name)),
      )
    },
  }),
  'half retried under another name': working({
    faults: 'claim.exclusive=errno:22',
    async prepare(context, queue) {
      const name = onlyName(inQueue(queue, 'queue'))
      fs.linkSync(
        path.join(inQueue(queue, 'queue'), name),
        path.join(inQueue(queue, 'queue'), withEntropy(withTries(name, 1))),
      )
    },
  }),
  'done, untyped': working({ faults: 'list.getdents=answer:0' }),
  'done, network': working({ faults: NETWORK, prepare: openAnew }),
  'done, fcntl locks': working({ ...fcntl }),
  'done, full, together, fcntl locks': working({ ...fcntl, items: THREE, together: true, options: full }),
  'retry, fcntl locks': working({ ...fcntl, action: 'retry', argument: {} }),
  'discard by link, fcntl locks': working({ ...fcntl, action: 'discard', faults: RENAME_MISSING }),
  'done, claims by renaming': working({ ...rename, options: full }),
  'retry, claims by renaming': working({ ...rename, action: 'retry', argument: {} }),
  'discard, claims by renaming': working({ ...rename, action: 'discard' }),
  'done by link, claims by renaming': working({
    ...rename,
    faults: `${RENAME_MISSING};claim.exclusive=errno:22`,
  }),
  'done, the answer is lost, claims by renaming': working({
    ...rename,
    faults: 'finish.rename=errno-after:2',
  }),
  'take-over, claims by renaming': working({ ...rename, items: TWO, prepare: dieWithItems }),
  'take-over by link, claims by renaming': working({
    ...rename,
    items: TWO,
    faults: `${RENAME_MISSING};claim.exclusive=errno:22`,
    prepare: dieWithItems,
  }),
  probe: {
    kind: 'probe',
    labels: [],
    faults: '',
    options: {},
    setup: async () => ({}),
    async act({ root, say }) {
      const { probe } = await import('../../dist/index.js')
      say({ probed: await probe(root) })
    },
  },
}

export const SCENARIOS = Object.keys(scenarios)
