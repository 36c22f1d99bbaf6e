// Two workers on each client work the same items, and nobody dies: does an item run twice?
import { Journal, end, install, labelsIn } from './programs.mjs'

const ITEMS = 400

export async function race({ server, a, b }, bar) {
  for (const [number, mount] of ['vers=4.2', 'vers=4.2', 'vers=4.2,actimeo=600', 'vers=4.0'].entries()) {
    for (const client of [a, b]) await client.mount(mount)
    const queue = `race${number}`
    await install(a, queue)
    const journal = new Journal()
    await journal.start(a, 'feed', queue, 'x', ITEMS).ended
    const workers = [a, b, a, b].map((client) => journal.start(client, 'work', queue, 5))
    await journal.done(ITEMS)
    await end(...workers)
    const share = journal.all('done').filter(({ machine }) => machine === a).length
    bar(`${mount}: items of ${ITEMS} that ran twice (a finished ${share})`, journal.twice, 0)
    const done = await labelsIn(server, `${queue}/done`)
    bar(`${mount}: items that are not in done/`, ITEMS - new Set(done).size, 0)
    bar(`${mount}: problems that a program told`, journal.problems, 0)
  }
  for (const client of [a, b]) await client.mount()
}
