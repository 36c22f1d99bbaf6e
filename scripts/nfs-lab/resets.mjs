// The server is reset three times while two producers and two workers go on, one of each on both clients.
import { setTimeout as later } from 'node:timers/promises'

import { Journal, end, install, labelsIn, repeated } from './programs.mjs'

const RESETS = 3
const BETWEEN_MS = 15_000

export async function resets({ server, a, b }, bar) {
  const journal = new Journal()
  await install(a, 'resets')
  const feeders = [a, b].map((client) => journal.start(client, 'feed', 'resets', client.name))
  const workers = [a, b].map((client) => journal.start(client, 'work', 'resets', 5))
  for (let reset = 0; reset < RESETS; reset++) {
    await later(BETWEEN_MS)
    await server.reset()
  }
  // The grace time comes first.
  await later(2 * BETWEEN_MS)
  await end(...feeders)
  const fed = journal.all('fed').map(({ label }) => label)
  await journal.done(fed.length)
  await end(...workers)
  const done = await labelsIn(server, 'resets/done')
  const lost = fed.filter((label) => !done.includes(label))
  bar(`items of ${fed.length} that were lost`, lost, 0)
  bar('items that ran twice', journal.twice, 0)
  bar('items under two names', repeated(done), 0)
  bar('problems that a program told', journal.problems, 0)
}
