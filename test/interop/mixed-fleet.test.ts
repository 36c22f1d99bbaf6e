// A fleet of queue.work() and workers that make the calls of the first implementation, on one queue, while both are killed.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import { expect } from '@jest/globals'

import { Queue } from '../../src/queue.js'
import { Child, argsIn, makeDirectory, until } from '../support/child.js'
import { given } from '../support/needs.js'
import { names } from '../support/queue.js'

const COUNT = 1500
/** While a worker is to finish an item, at least as many wait. */
const LEAST = 200
const KILLS = 4

const ifPython = given(spawnSync('python3', ['--version']).status === 0)

/** How often each text is there. */
function countEach(texts: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return counts
}

ifPython.test(
  'queue.work() beside workers of the first implementation, all under SIGKILL: none lost, none done twice',
  async () => {
    const root = makeDirectory({ quick: true })
    const queue = await Queue.install('q', { root, durability: 'none', maxTries: 3 })
    let count = 0
    const add = async (more: number): Promise<void> => {
      const items = Array.from({ length: more }, () => ({ data: null, args: [String(count++)] }))
      await queue.enqueueMany(items)
    }
    await add(COUNT)
    // On a busy machine, the others may have emptied the queue before a worker has started.
    const finishes = async (child: Child, key: string): Promise<void> => {
      let isOver = false
      const said = child.says(key).finally(() => (isOver = true))
      while (!isOver) {
        if (names(queue, 'queue').length < LEAST) await add(LEAST)
        await Promise.race([said, later(5)])
      }
    }
    const log = path.join(root, 'log')
    const startTheirs = (): Child =>
      new Child('../interop/first.py', { command: 'work', root, queue: 'q', action: 'done', maxTries: 3 })
    const startOurs = (): Child =>
      new Child('work.mjs', {
        ...{ root, log, handler: 'quick', queue: { durability: 'none' } },
        options: { concurrency: 4, closeOn: ['SIGTERM'], maxTries: 3 },
      })
    const fleet = [startOurs(), startTheirs(), startOurs(), startTheirs()]
    const all = [...fleet]
    const killed = new Set<Child>()
    for (let index = 0; index < KILLS; index++) {
      const victim = fleet[index % fleet.length] as Child
      await finishes(victim, index % 2 === 0 ? 'done' : 'finished')
      killed.add(victim)
      victim.kill()
      const next = index % 2 === 0 ? startOurs() : startTheirs()
      fleet[index % fleet.length] = next
      all.push(next)
    }
    await until('the queue is empty', () => fs.readdirSync(path.join(queue.path, 'queue')).length === 0)
    for (const [index, child] of fleet.entries()) {
      if (index % 2 === 0) child.kill('SIGTERM')
      else child.tell('stop')
    }
    await Promise.all(all.map(async ({ ended }) => ended))

    const done = names(queue, 'done').map((name) => Number(argsIn(name)[0]))
    expect(done.sort((left, right) => left - right)).toEqual(
      Array.from({ length: count }, (_, number) => number),
    )
    expect([names(queue, 'fail'), names(queue, 'tmp')]).toEqual([[], []])
    // Those of the first implementation do not look whether an item has moved between their open and their lock, so they may run one
    // that is done; that they have lost it then says so. No item is finished twice.
    const finished = all.flatMap((child) => [...child.said('done'), ...child.said('finished')])
    const counts = countEach(finished.map((line) => String(line['done'] ?? line['finished'])))
    expect([...counts].filter(([, count]) => count > 1)).toEqual([])
    const living = all.filter((child) => !killed.has(child))
    const lost = living.flatMap((child) => child.said('lost'))
    const runs = living.flatMap((child) => [...child.said('started'), ...child.said('ran')])
    const starts = countEach(runs.map((line) => String(line['started'] ?? line['ran'])))
    for (const { lost: id } of lost) starts.set(String(id), (starts.get(String(id)) ?? 0) - 1)
    expect([...starts].filter(([, count]) => count > 1)).toEqual([])
    expect(counts.size).toBeGreaterThan(count - 5 * KILLS - lost.length)
    expect(fleet.flatMap((child) => [child.said('error'), child.said('unhandled')]).flat()).toEqual([])
    // No worker of ours has taken an item of another one for its own.
    expect(all.flatMap((child) => child.said('failed'))).toEqual([])
    await queue.close()
  },
)
