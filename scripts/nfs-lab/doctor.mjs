// `fsq doctor --peer` on both clients: where a queue works, and where it does not.
import { FSQ, secondsBetween } from './programs.mjs'

// Two starts of Node and about ten seconds of trials, on an emulated processor.
const SECONDS = 15

export async function doctors({ a, b }, bar) {
  const clients = [a, b]
  /** Both must exit with the code, and print the text. */
  const trial = async (what, code, text, ...directories) => {
    const start = performance.now()
    const doctor = (client, at) => client.run(`${FSQ} doctor --peer ${directories[at] ?? directories[0]}`)
    const found = await Promise.all(clients.map(doctor))
    const seconds = secondsBetween(start, performance.now())
    const outputs = found.map(({ out }) => out)
    const right = found.filter((one) => one.code === code && text.test(one.out))
    bar(`${what}: processes that say so, in ${seconds} s`, right.length, 2, 2, outputs)
    return seconds
  }
  // The first start of Node on a machine is slow.
  for (const client of clients) await client.sh(`${FSQ} doctor --help`)
  await a.sh('mkdir -p /q/one /q/two')
  const seconds = await trial('the same directory', 0, /^(?!.*(warning|ESTALE))/is, '/q')
  bar('the same directory: seconds', seconds, SECONDS)
  await trial('two directories', 111, /no other process has come/i, '/q/one', '/q/two')
  const trialOn = async (options, code, text) => {
    for (const client of clients) await client.mount(options, '/other')
    await trial(options, code, text, '/other')
  }
  await trialOn('vers=3,nolock', 111, /nolock/)
  // Plain looks are stale, but fsq asks the server first.
  await trialOn('vers=4.2,actimeo=600', 0, /stale names +[1-9]\d* +of \d+; 0 after asking/)
  await trialOn('vers=4.2,nocto,actimeo=600', 111, /mount shows new files late/)
}
