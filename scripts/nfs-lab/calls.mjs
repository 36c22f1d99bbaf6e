// How many calls to the server an item takes that is claimed, read and finished. The kernel of the client counts them; those of the program's
// start and end are among them.
import { Journal, install } from './programs.mjs'

const ITEMS = 100

async function countsOf(client) {
  const [, mount] = (await client.sh('cat /proc/self/mountstats')).split(' mounted on /q ')
  const counts = [...mount.split('\ndevice ')[0].matchAll(/^\s+([A-Z_0-9]+): (\d+) /gm)]
  return new Map(counts.map(([, call, count]) => [call, Number(count)]))
}

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
  const sum = each.reduce((total, [, count]) => total + count, 0)
  bar(`calls to the server for an item (${list})`, Number(sum.toFixed(1)), 9)
  bar('problems that a program told', journal.problems, 0)
}
