// How many calls to the server an item takes that is claimed, read and finished, and a worker that waits. The kernel of the client counts them; those of the program's
// start and end are among them.
import { setTimeout as later } from 'node:timers/promises'

import { Journal, end, install } from './programs.mjs'

const ITEMS = 100
const SETTLED_MS = 3000
const WAIT_S = 20

async function countsOf(client) {
  const [, mount] = (await client.sh('cat /proc/self/mountstats')).split(' mounted on /q ')
  const counts = [...mount.split('\ndevice ')[0].matchAll(/^\s+([A-Z_0-9]+): (\d+) /gm)]
  return new Map(counts.map(([, call, count]) => [call, Number(count)]))
}

const total = (counts) => [...counts].reduce((sum, [, count]) => sum + count, 0)

export async function calls({ a, b }, bar) {
  const journal = new Journal()
  await install(a, 'calls')
  await journal.start(b, 'feed', 'calls', 'x', ITEMS).ended
  const before = await countsOf(a)
  await journal.start(a, 'drain', 'calls').ended
  const each = [...(await countsOf(a))]
    .map(([call, count]) => [call, (count - (before.get(call) ?? 0)) / ITEMS])
    .filter(([, count]) => count > 0)
  const list = each.map(([call, count]) => `${call} ${count}`).join(', ')
  const sum = total(each)
  bar(`calls to the server for an item (${list})`, Number(sum.toFixed(1)), 9)

  const waiting = new Journal()
  const worker = waiting.start(a, 'work', 'calls')
  await waiting.first(a, 'ready')
  await later(SETTLED_MS)
  const idle = total(await countsOf(a))
  await later(WAIT_S * 1000)
  bar('calls a second of a worker that waits', (total(await countsOf(a)) - idle) / WAIT_S, 5)
  await end(worker)
}
