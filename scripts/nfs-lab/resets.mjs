// The server is reset three times while two producers and two workers go on, one of each on both clients.
import { setTimeout as later } from 'node:timers/promises'

import { mountBoth } from './machines.mjs'
import { Journal, end, install, labelsIn, repeated, secondsBetween } from './programs.mjs'

const RESETS = 3
// The lease that Linux has by default. A worker gives up what it has in hand after 0.8 of the lease without the server, and an emulated
// server is away for 17 s. The grace time is shorter: no client needs more to take its locks back.
const LEASE_S = 90
const GRACE_S = 30
const BETWEEN_MS = 45_000

export async function resets({ server, a, b }, bar) {
  await server.reset(LEASE_S, GRACE_S)
  await mountBoth(a, b)
  const journal = new Journal()
  await install(a, 'resets')
  const feeders = [a, b].map((client) => journal.start(client, 'feed', 'resets', client.name))
  const workers = [a, b].map((client) => journal.start(client, 'work', 'resets', 5))
  const away = []
  for (let reset = 0; reset < RESETS; reset++) {
    await later(BETWEEN_MS)
    const start = performance.now()
    await server.reset(LEASE_S, GRACE_S)
    away.push(secondsBetween(start, performance.now()))
  }
  // The grace time comes first.
  await later(BETWEEN_MS)
  await end(...feeders)
  const fed = journal.all('fed').map(({ label }) => label)
  await journal.done(fed.length)
  await end(...workers)
  const done = await labelsIn(server, 'resets/done')
  const lost = fed.filter((label) => !done.includes(label))
  bar(`items of ${fed.length} that were lost`, lost, 0)
  bar(`items that ran twice, with a server away for ${away.join(', ')} s`, journal.twice, 0)
  bar('items under two names', repeated(done), 0)
  bar('problems that a program told', journal.problems, 0)
}
