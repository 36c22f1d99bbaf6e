// A worker process is killed with an item in hand: how soon does the worker on the other machine begin with it?
import { Journal, end, install, secondsBetween } from './programs.mjs'

const TRIALS = 5

export async function killed({ a, b }, bar) {
  await install(a, 'killed')
  const times = []
  for (let trial = 0; trial < TRIALS; trial++) {
    const journal = new Journal()
    const victim = journal.start(a, 'work', 'killed', 600_000)
    await journal.first(a, 'ready')
    await journal.start(b, 'feed', 'killed', `x${trial}-`, 1).ended
    await journal.first(a, 'begin')
    const heir = journal.start(b, 'work', 'killed')
    await journal.first(b, 'ready')
    const killedAt = performance.now()
    victim.kill('SIGKILL')
    times.push(secondsBetween(killedAt, (await journal.first(b, 'begin')).at))
    await journal.done(1)
    await end(heir)
  }
  bar(`seconds until its item begins elsewhere (${times.join(', ')})`, Math.max(...times), 2)
}
