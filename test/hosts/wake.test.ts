// What wakes workers of hosts that wait: with real processes, and sooner than a look without a wake-up would come.
import process from 'node:process'

import { expect, test } from '@jest/globals'

import { type Shell, useCommandBed } from '../support/command.js'
import { until } from '../support/queue.js'

const bed = useCommandBed()
/** A loop that is not woken looks after five seconds. */
const SOON_MS = 4000
const INDEX = new URL('../../dist/index.js', import.meta.url).href

/** Acts, and waits until a shell has printed these lines. */
async function prints(shell: Shell, lines: readonly string[], act: () => Promise<unknown>): Promise<void> {
  await act()
  const begun = performance.now()
  await until(lines.join(', '), () => lines.every((line) => shell.stdout.split('\n').includes(line)))
  expect([lines, performance.now() - begun < SOON_MS]).toEqual([lines, true])
}

test('a scan of all hosts is woken by an enqueue, by a distribution, and by new hosts', async () => {
  await bed.sh('fsq install -a h1 -a h2 q')
  const scan = bed.start(`exec fsq scan -a --follow q sh -c 'echo "$FSQ_ITEM_HOST $1"' scan`)
  const sh = (script: string) => async (): Promise<void> => {
    expect(await bed.sh(`H="$FSQ_ROOT/q/hosts"; ${script}`)).toMatchObject({ code: 0 })
  }
  await sh('fsq -r "$H" enqueue -e h1 first; fsq -r "$H" enqueue -e h2 first')()
  await until('the scan has begun', () => scan.stdout.split('\n').length > 2)
  await prints(scan, ['h1 one'], sh('fsq -r "$H" enqueue -e h1 one'))
  await prints(scan, ['h1 two', 'h2 two'], sh('fsq enqueue -e q two; fsq host-dist q'))
  await prints(scan, ['h2 linked'], sh('fsq enqueue -e q linked; fsq host-dist -I q h2'))
  await prints(scan, ['h3 three'], sh('fsq add-host h3 q; fsq -r "$H" enqueue -e h3 three'))
  await prints(scan, ['h3 again'], sh('fsq rm-host h3 q; fsq add-host h3 q; fsq -r "$H" enqueue -e h3 again'))
  await prints(scan, ['h3 anew'], sh('fsq add-host -f h3 q; fsq -r "$H" enqueue -e h3 anew'))
  await prints(scan, ['h2 up'], sh('fsq down-host h2 q; fsq -r "$H" enqueue -e h2 up; fsq up-host h2 q'))
  scan.process.kill('SIGTERM')
  expect((await scan.ended).code).toBe(0)
})

const WORKERS = {
  'scanForever()': 'for await (const item of host.scanForever()) { await tell(item); await item.done() }',
  'work()': 'await host.work(tell)',
}

test.each([
  ['scanForever()', 'lock'],
  ['work()', 'lock'],
  ['work()', 'rename'],
] as const)('%s at a host is woken by an enqueue and by distribute(): %s', async (how, claims) => {
  const queue = await bed.bed.install({ root: bed.root, addHosts: ['h1'], durability: 'none', claims })
  const worker = bed.start(`exec ${process.execPath} --input-type=module -e '
    import { Queue } from "${INDEX}"
    const host = new Queue("q").host("h1")
    const tell = async (item) => console.log(await item.text())
    ${WORKERS[how]}'`)
  const host = queue.host('h1')
  await host.enqueue('first')
  await until('it has begun', () => worker.stdout.includes('first'))
  await prints(worker, ['one'], async () => host.enqueue('one'))
  const distribute = (text: string, link: boolean) => async (): Promise<void> => {
    await queue.enqueue(text)
    expect(await queue.distribute({ link })).toMatchObject({ distributed: 1, left: 0 })
  }
  await prints(worker, ['copied'], distribute('copied', false))
  await prints(worker, ['linked'], distribute('linked', true))
  await host.close()
})
