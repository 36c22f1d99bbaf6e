// A client loses its link, or stands still, for longer than the lease, with an item in hand whose handler goes on.
import { setTimeout as later } from 'node:timers/promises'

import { LEASE_S } from './machines.mjs'
import { Journal, end, install, labelsIn, secondsBetween } from './programs.mjs'

const AWAY_MS = 2500 * LEASE_S

/** @returns The lines that say that the handler is told, and that the other machine begins; and when the client was away and back. */
async function lose({ server, a, b }, bar, queue, away, back) {
  const journal = new Journal()
  await install(a, queue)
  const victim = journal.start(a, 'work', queue, 1.4 * AWAY_MS)
  await journal.first(a, 'ready')
  await journal.start(b, 'feed', queue, 'x', 1).ended
  await journal.first(a, 'begin')
  const heir = journal.start(b, 'work', queue)
  await journal.first(b, 'ready')
  const awayAt = performance.now()
  away()
  await later(AWAY_MS)
  const backAt = performance.now()
  back()
  const { rest } = await journal.first(a, 'refused')
  const [told, begun] = [await journal.first(a, 'told'), await journal.first(b, 'begin')]
  await end(victim, heir)
  bar('late finishes that reject with ClaimLostError', Number(rest[0] === 'ClaimLostError'), 1, 1)
  bar('times that the item was finished', journal.all('done').length, 1, 1)
  bar('items in done/', (await labelsIn(server, `${queue}/done`)).length, 1, 1)
  return { told, begun, awayAt, backAt }
}

export async function cut(lab, bar) {
  // On the side of the server: the client notices nothing but silence.
  const link = (state) => () => lab.server.monitor(`set_link a ${state}`)
  const { told, begun, awayAt } = await lose(lab, bar, 'cut', link('off'), link('on'))
  const [after, until] = [told, begun].map(({ at }) => secondsBetween(awayAt, at))
  bar(`seconds until the handler is told (the other machine begins after ${until})`, after, until)
}

export async function frozen(lab, bar) {
  const command = (name) => () => lab.a.monitor(name)
  const { told, backAt } = await lose(lab, bar, 'frozen', command('stop'), command('cont'))
  // The worker reads its lock every fifth of a lease.
  bar('seconds from going on until the handler is told', secondsBetween(backAt, told.at), LEASE_S / 5 + 1)
}
