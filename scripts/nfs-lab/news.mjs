// What one machine does, the other one comes to know soon, although its kernel keeps the names of a directory for half a minute: an item that is
// enqueued, its end, and that the queue is down.
import { setTimeout as later } from 'node:timers/promises'

import { FSQ, Journal, end, install, secondsBetween } from './programs.mjs'

const TRIALS = 3
const SETTLED_MS = 2000

export async function news({ a, b }, bar) {
  await install(a, 'news')
  const [begun, told] = [[], []]
  for (let trial = 0; trial < TRIALS; trial++) {
    const journal = new Journal()
    const worker = journal.start(a, 'work', 'news')
    await journal.first(a, 'ready')
    await later(SETTLED_MS)
    const waiting = journal.start(b, 'wait', 'news', `waited${trial}`)
    const { at: fedAt } = await journal.first(b, 'fed')
    const { at: beganAt } = await journal.first(a, 'begin')
    const { at: doneAt } = await journal.first(a, 'done')
    const { at: endedAt } = await journal.first(b, 'ended')
    begun.push(secondsBetween(fedAt, beganAt))
    told.push(secondsBetween(doneAt, endedAt))
    await waiting.ended
    await end(worker)
  }
  bar(`seconds until an idle worker begins with an item (${begun.join(', ')})`, Math.max(...begun), 3)
  bar(`seconds until finished() tells of its end (${told.join(', ')})`, Math.max(...told), 6)

  const journal = new Journal()
  const worker = journal.start(a, 'work', 'news')
  await journal.first(a, 'ready')
  await later(SETTLED_MS)
  await b.sh(`FSQ_ROOT=/q FSQ_ALLOW_NETWORK=1 ${FSQ} down news`)
  await journal.start(b, 'feed', 'news', 'down', 1).ended
  await later(SETTLED_MS)
  bar('items that were begun while the queue was down', journal.all('begin'), 0)
  await b.sh(`FSQ_ROOT=/q FSQ_ALLOW_NETWORK=1 ${FSQ} up news`)
  const upAt = performance.now()
  bar('seconds until the worker goes on', secondsBetween(upAt, (await journal.first(a, 'begin')).at), 3)
  await end(worker)
}
