// Several processes work one queue.
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { Child, filesOf, isFree, makeDirectory, until } from '../support/child.js'

const KINDS = ['flock', 'fcntl'] as const
const WORKERS = 4
const COUNT = 5_000
const ROUNDS = 12

function linesOf(file: string, kind: string): string[] {
  if (!fs.existsSync(file)) return []
  const prefix = `${kind} `
  // A last line without its end is one that a kill has cut off.
  return fs
    .readFileSync(file, 'utf8')
    .split('\n')
    .flatMap((line) => (line.startsWith(prefix) ? [line.slice(prefix.length)] : []))
}

function makeRoot(): { directory: string; root: string } {
  const directory = makeDirectory()
  const root = path.join(directory, 'root')
  fs.mkdirSync(root)
  return { directory, root }
}

test.each(KINDS)(
  `${WORKERS} processes run each of ${COUNT} items exactly once (%s)`,
  async (lockKind) => {
    const { directory, root } = makeRoot()
    const queue = await Queue.install('q', { root, durability: 'none', lockKind, queueMode: '0700' })
    const ids = await queue.enqueueMany(Array.from({ length: COUNT }, (_, index) => ({ args: [index] })))
    const logs = Array.from({ length: WORKERS }, (_, index) => path.join(directory, `log-${index}`))
    const start = path.join(directory, 'start')
    const children = logs.map((log) => new Child('worker.mjs', { root, log, start, untilEmpty: true }))
    for (const child of children) await child.says('ready')
    fs.writeFileSync(start, '')
    for (const child of children) {
      expect(await child.ended).toEqual({ code: 0, signal: null })
      expect([child.said('error'), child.said('report'), child.stderr]).toEqual([[], [], ''])
    }
    for (const kind of ['start', 'done']) {
      const ran = logs.flatMap((log) => linesOf(log, kind))
      expect(ran).toHaveLength(COUNT)
      expect(ran.toSorted()).toEqual(ids.toSorted())
    }
    // All had their share: it was a race, not a queue of workers.
    for (const log of logs) expect(linesOf(log, 'start').length).toBeGreaterThan(0)
    expect(await queue.counts()).toEqual({ waiting: 0, done: COUNT, failed: 0, tmp: 0 })
    await queue.close()
  },
  120_000,
)

test.each(KINDS)(
  'workers are killed again and again: nothing is lost, and only what they held runs again (%s)',
  async (lockKind) => {
    const { directory, root } = makeRoot()
    const options = { durability: 'none' as const }
    const queue = await Queue.install('q', { root, ...options, lockKind, queueMode: '0700' })
    const logs: string[] = []
    const startWorker = (): { child: Child; log: string } => {
      const log = path.join(directory, `log-${logs.length}`)
      logs.push(log)
      return { child: new Child('worker.mjs', { root, log, prefetch: 4, options }), log }
    }

    // Work for all rounds: a producer that adds while they die.
    const ids: string[] = []
    let isProducing = true
    const producing = (async () => {
      while (isProducing) {
        const waiting = fs.readdirSync(path.join(queue.path, 'queue')).length
        if (waiting < 200)
          ids.push(
            ...(await queue.enqueueMany(
              Array.from({ length: 50 }, () => ({ data: 'xxxx', args: ['x', 4] })),
            )),
          )
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()

    const workers = Array.from({ length: WORKERS }, startWorker)
    const killed: string[] = []
    for (let round = 0; round < ROUNDS; round++) {
      const victim = workers[round % WORKERS] as (typeof workers)[number]
      const enough = 5 + ((round * 7) % 20)
      await until('the victim works', () => linesOf(victim.log, 'start').length >= enough)
      victim.child.kill()
      expect(await victim.child.ended).toEqual({ code: null, signal: 'SIGKILL' })
      killed.push(victim.log)
      workers[round % WORKERS] = startWorker()
    }
    isProducing = false
    await producing
    await until('all is done', () => fs.readdirSync(path.join(queue.path, 'queue')).length === 0)
    for (const { child } of workers) child.tell('stop')
    for (const { child } of workers) {
      expect(await child.ended).toEqual({ code: 0, signal: null })
      expect([child.said('error'), child.said('report'), child.said('torn'), child.stderr]).toEqual([
        [],
        [],
        [],
        '',
      ])
    }

    const runs = new Map<string, number>()
    for (const id of logs.flatMap((log) => linesOf(log, 'start'))) runs.set(id, (runs.get(id) ?? 0) + 1)
    expect([...runs.keys()].toSorted()).toEqual(ids.toSorted())
    const done = filesOf(queue.path, 'done').map(({ name }) => name)
    expect(done.toSorted()).toEqual(ids.toSorted())
    expect(await queue.counts()).toEqual({ waiting: 0, done: ids.length, failed: 0, tmp: 0 })

    // Begun and not ended by one that was killed: at most the one item that it was at, and only that one ran again.
    const heldAtDeath = new Map<string, number>()
    for (const log of killed) {
      const ended = new Set(linesOf(log, 'done'))
      const held = linesOf(log, 'start').filter((id) => !ended.has(id))
      expect(held.length).toBeLessThanOrEqual(1)
      for (const id of held) heldAtDeath.set(id, (heldAtDeath.get(id) ?? 0) + 1)
    }
    for (const [id, count] of runs) expect(count).toBeLessThanOrEqual(1 + (heldAtDeath.get(id) ?? 0))
    await queue.close()
  },
  120_000,
)

test.each(KINDS)(
  'the lock of a killed worker is free at once (%s)',
  async (lockKind) => {
    const { directory, root } = makeRoot()
    const queue = await Queue.install('q', { root, durability: 'none', lockKind, queueMode: '0700' })
    for (let round = 0; round < 5; round++) {
      await queue.enqueueMany([{ args: ['a'] }, { args: ['b'] }, { args: ['c'] }])
      const pause = path.join(directory, `pause-${round}`)
      const child = new Child(
        'worker.mjs',
        { root, log: path.join(directory, `log-${round}`), prefetch: 3 },
        { faults: `finish.rename#1=pause:${pause}` },
      )
      await until('it is about to finish', () => fs.existsSync(pause))
      const held = filesOf(queue.path, 'queue')
      expect(held).toHaveLength(3)
      // Prefetched items are released after a moment, which may have passed.
      expect(held.some(({ path: file }) => !isFree(file))).toBe(true)
      child.kill()
      await child.ended
      expect(held.map(({ path: file }) => isFree(file))).toEqual([true, true, true])
      for await (const item of queue.scan()) await item.done()
    }
    expect(await queue.counts()).toMatchObject({ waiting: 0, done: 15 })
    await queue.close()
  },
  60_000,
)
