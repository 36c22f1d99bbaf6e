// A worker of a queue whose claims are renames, on the addon itself: { queue, lease }. It makes the calls that the lines on its standard
// input ask for, one after the other, and says what has come of each.
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import readline from 'node:readline'

import { addon, job, openBelow, say } from '../support/program.mjs'

const NAMES = [
  'queue',
  'tmp',
  'done',
  'fail',
  'down',
  'lock-fcntl',
  'claims-rename',
  'claimed',
  'down-rename',
]
const PLACES = { queue: 0, done: 2, fail: 3 }
const NUMBERS_A_BATCH = 6
const NUMBERS_A_CLAIM = 7

function openQueue(file) {
  const opened = addon.openQueueSync(file, NAMES, true)
  addon.setLease(opened, job.lease ?? 0)
  return opened
}

let queue = openQueue(job.queue)
const form = addon.newItemForm({
  delimiter: 95,
  escape: 37,
  timeFormat: '%Y%m%d%H%M%S',
  utc: true,
  user: -1,
  group: -1,
  mode: 0o640,
  durable: false,
  plainSync: false,
})
let skipped = addon.newSkipped()
/** The numbers of the claims, by the names of their items. */
const claims = new Map()
let seized = []

function listed() {
  const listing = addon.listSync(queue, 0, 0, skipped)
  if ('errno' in listing) throw new Error(JSON.stringify(listing))
  return listing
}

function claimed([numbers, names, contents, notes, failure]) {
  const items = names.map((name, index) => {
    const at = NUMBERS_A_BATCH + index * NUMBERS_A_CLAIM
    const [number, descriptor, size, offset, position, tries, claimedAt] = numbers.slice(
      at,
      at + NUMBERS_A_CLAIM,
    )
    claims.set(name, number)
    const content = offset < 0 ? null : contents.toString('utf8', offset, offset + size)
    return { name, descriptor, size, content, position, tries, claimedAt }
  })
  const [looked, , busy, delayed, down, ended] = numbers
  return { items, looked, busy, delayed, down, ended, notes, failure }
}

function move({ name, to, place, due = 0 }) {
  const moves = new Float64Array([claims.get(name), place === 'discard' ? 1 : PLACES[place], due])
  return [queue, moves, 1, to === undefined ? undefined : [to], job.durable === true]
}

const calls = {
  /** From now on it works another queue. */
  switch: ({ queue: file }) => {
    queue = openQueue(file)
    skipped = addon.newSkipped()
    return null
  },
  enqueue: ({ content = 'x', due = 0, argument = 'a' }) =>
    addon.enqueueSync(queue, form, `_1_host_0_${argument}`, Buffer.from(content), due),
  claim: ({ limit = 100 }) => claimed(addon.claimSync(queue, listed(), limit, 1000, 4096, 37, skipped)),
  claimInPool: async ({ limit = 100 }) =>
    claimed(await addon.claim(queue, listed(), limit, 1000, 4096, 37, skipped)),
  isQuiet: () => addon.skippedQuiet(skipped, queue),
  finish: (given) => {
    const result = addon.finishSync(...move(given))
    if (typeof result === 'number') claims.delete(given.name)
    return typeof result === 'number' ? null : result[0]
  },
  finishInLane: async (given) => {
    const result = await addon.finish(...move(given))
    return typeof result === 'number' ? null : result[0]
  },
  release: ({ name }) => {
    addon.release([claims.get(name)])
    claims.delete(name)
    return null
  },
  seize: async () => {
    const answer = await addon.seize(queue)
    if ('errno' in answer) return answer
    seized = answer
    for (const { claims: numbers, names } of seized)
      for (const [index, name] of names.entries()) claims.set(name, numbers[index])
    return seized.map(({ name, names, lines }) => ({ name, names, lines: lines.toString('latin1') }))
  },
  dismiss: async () => {
    const answers = []
    for (const { directory } of seized) answers.push((await addon.dismiss(directory)) ?? null)
    seized = []
    return answers
  },
  read: ({ name }) => {
    const descriptor = addon.openItemSync(claims.get(name))
    if (typeof descriptor !== 'number') return descriptor
    const content = fs.readFileSync(descriptor, 'utf8')
    fs.closeSync(descriptor)
    return content
  },
  retire: async () => (await addon.retireWorker(queue)) ?? null,
  look: () => ({
    name: addon.workerName(queue) ?? null,
    fence: addon.fence(queue),
    byRename: addon.claimsByRename(queue),
    open: openBelow(job.queue),
  }),
  exit: () => process.exit(0),
  isDown: () => addon.isDownSync(queue, false),
  setFaults: ({ faults }) => {
    addon.setFaults(faults)
    return null
  },
  hits: () =>
    Object.fromEntries(addon.faultPoints().map((point, index) => [point, addon.faultHits()[index]])),
}

say({ ready: true })
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { call, id, ...given } = JSON.parse(line)
  say({ [`answer${id}`]: (await calls[call](given)) ?? null })
}
