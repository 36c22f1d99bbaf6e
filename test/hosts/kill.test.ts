/** A distribution that dies between two hosts, or that cannot give a host its items: nothing is lost, and no host has an item twice. */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { expect, test } from '@jest/globals'

import { itemKey } from '../../src/name/item-name.js'
import { Queue } from '../../src/queue.js'
import { Child, makeDirectory } from '../support/child.js'

const MAIN = fileURLToPath(new URL('../../dist/command/cli/main.js', import.meta.url))
const HOSTS = ['h1', 'h2']

async function install(root: string, count: number, options: { claims?: 'rename' } = {}): Promise<Queue> {
  const queue = await Queue.install('q', {
    root,
    durability: 'none',
    maxTries: 0,
    addHosts: HOSTS,
    ...options,
  })
  const entries = Array.from({ length: count }, (_, index) => ({
    data: `contents ${index}`,
    args: [String(index)],
  }))
  await queue.enqueueMany(entries)
  return queue
}

function keysIn(...parts: string[]): string[] {
  return fs.readdirSync(path.join(...parts)).map((name) => itemKey(name, '%'))
}

/** The keys of all items that a host has or has had, with each as often as it is there. */
function keysAt(root: string, host: string): string[] {
  const at = path.join(root, 'q', 'hosts', host)
  const claimed = path.join(at, 'claimed')
  const workers = fs.existsSync(claimed) ? fs.readdirSync(claimed) : []
  return [
    ...['queue', 'done', 'fail'].flatMap((place) => keysIn(at, place)),
    ...workers.flatMap((worker) => keysIn(claimed, worker).filter((name) => !name.startsWith('.'))),
  ].toSorted()
}

test.each([{}, { claims: 'rename' as const }])(
  'killed again and again, with workers at the hosts, each host has each item once: %o',
  async (kind) => {
    const root = makeDirectory({ quick: true })
    const count = 1500
    const queue = await install(root, count, kind)
    const all = keysIn(root, 'q', 'queue').toSorted()
    // Workers that retry change the names of items, and finish others: both hide an item from a look at its name.
    let turn = 0
    const hosts = HOSTS.map((host) => queue.host(host))
    const workers = await Promise.all(
      hosts.map(async (host) =>
        host.work(
          async (item) => {
            if (turn++ % 3 === 0 && item.tries < 2) throw new Error('again')
            await later(0)
          },
          { concurrency: 4, backoff: 0, maxTries: 9, maxCrashes: 0 },
        ),
      ),
    )
    let kills = 0
    while (keysIn(root, 'q', 'done').length < count) {
      const child = new Child('distribute.mjs', { root, link: kills % 5 === 4 })
      await child.says('begun')
      // Most die at work, and a few end.
      await Promise.race([child.ended, later(Math.random() * (50 + kills * 20))])
      child.kill()
      const { signal } = await child.ended
      if (signal !== null) kills++
      if (kills > 200) throw new Error('the distributions come to no end')
    }
    expect(kills).toBeGreaterThan(2)
    for (const worker of workers) await worker.close()
    // What the workers had claimed ahead is back by then.
    for (const host of hosts) await host.close()
    expect(keysIn(root, 'q', 'done').toSorted()).toEqual(all)
    for (const host of HOSTS) expect(keysAt(root, host)).toEqual(all)
    await queue.close()
  },
  240_000,
)

test.each(['enqueue.write=errno:28', 'enqueue.link#1=errno:28', 'enqueue.open=errno:13'])(
  'with %s at the hosts, the items stay, and the next run distributes them',
  async (faults) => {
    const root = makeDirectory({ quick: true })
    const queue = await install(root, 100)
    const all = keysIn(root, 'q', 'queue').toSorted()
    const child = new Child('distribute.mjs', { root }, { faults })
    const { left } = await child.says('left')
    expect(left).toBeGreaterThan(0)
    await child.ended
    expect([...keysIn(root, 'q', 'queue'), ...keysIn(root, 'q', 'done')].toSorted()).toEqual(all)
    expect(keysIn(root, 'q', 'queue')).toHaveLength(Number(left))
    expect(await queue.distribute()).toMatchObject({ left: 0, distributed: left })
    for (const host of HOSTS) {
      expect(keysAt(root, host)).toEqual(all)
      expect(fs.readdirSync(path.join(root, 'q', 'hosts', host, 'tmp'))).toEqual([])
    }
    await queue.close()
  },
  60_000,
)

test.each([{}, { claims: 'rename' as const }])(
  'with too few descriptors a distribution says so, and loses nothing: %o',
  async (kind) => {
    const root = makeDirectory({ quick: true })
    const queue = await install(root, 300, kind)
    const all = keysIn(root, 'q', 'queue').toSorted()
    const command = 'ulimit -n 40; exec "$0" "$1" -r "$2" host-dist q'
    const runs = [1, 2, 3].map(() => spawnSync('sh', ['-c', command, process.execPath, MAIN, root]))
    // Claims by renaming hold no descriptors, so few small items in flight may have enough of them.
    if (!('claims' in kind)) expect(runs[0]?.status).toBe(111)
    for (const { status, stderr } of runs)
      expect([status, stderr.toString()]).toEqual(
        status === 0 ? [0, ''] : [111, expect.stringContaining('EMFILE')],
      )
    await queue.distribute()
    for (const host of HOSTS) expect(keysAt(root, host)).toEqual(all)
    expect(await queue.counts()).toMatchObject({ waiting: 0, done: 300, failed: 0 })
    await queue.close()
  },
)
