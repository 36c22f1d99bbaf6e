// Workers in processes of their own, ended by signals.
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import { describe, expect, test } from '@jest/globals'

import { Queue } from '../../src/queue.js'
import { Child, makeDirectory, until } from '../support/child.js'

interface Bench {
  readonly root: string
  readonly queue: Queue
  readonly log: string
}

async function bench(items: number): Promise<Bench> {
  const root = makeDirectory()
  const queue = await Queue.install('q', { root })
  await queue.enqueueMany(
    Array.from({ length: items }, (_, number) => ({ data: null, args: [String(number)] })),
  )
  return { root, queue, log: path.join(root, 'log') }
}

/** How many runs of one item have overlapped, which must be none; a kill ends a run. */
function overlaps(log: string, killed: readonly number[]): string[] {
  const running = new Map<string, number>()
  const found: string[] = []
  for (const line of fs.readFileSync(log, 'utf8').split('\n').filter(Boolean)) {
    const [what, key = '', pid] = line.split(' ')
    const holder = running.get(key)
    if (what === 'start' && holder !== undefined && !killed.includes(holder)) found.push(key)
    if (what === 'start') running.set(key, Number(pid))
    else running.delete(key)
  }
  return found
}

describe('closeOn', () => {
  test('the first signal closes: running handlers end, and the process with them', async () => {
    const { root, queue, log } = await bench(20)
    const child = new Child('work.mjs', {
      root,
      log,
      handler: 'deaf',
      ms: 300,
      options: { closeOn: ['SIGTERM'], concurrency: 2 },
      closesQueue: true,
    })
    await child.says('started')
    child.kill('SIGTERM')
    expect(await child.ended).toEqual({ code: 0, signal: null })
    expect(child.said('state').map(({ state }) => state)).toEqual(['closing', 'closed'])
    const done = child.said('done').length
    expect(done).toBe(child.said('started').length)
    expect(await queue.counts()).toMatchObject({ waiting: 20 - done, done })
    await queue.close()
  })

  test('after the grace, handlers are aborted, and their items wait untried', async () => {
    const { root, queue } = await bench(2)
    const child = new Child('work.mjs', {
      root,
      handler: 'untilAborted',
      options: { closeOn: ['SIGTERM', 'SIGINT'], concurrency: 2, grace: 50 },
    })
    await until('both run', () => child.said('started').length === 2)
    child.kill('SIGINT')
    // Nothing keeps the process alive, not even the handle that is still open.
    expect(await child.ended).toEqual({ code: 0, signal: null })
    expect(child.said('released')).toHaveLength(2)
    for await (const item of queue.items()) expect(item.tries).toBe(0)
    await queue.close()
  })

  test('a second one ends the process as if nobody listened', async () => {
    const { root, queue } = await bench(1)
    const child = new Child('work.mjs', { root, handler: 'deaf', options: { closeOn: ['SIGTERM'] } })
    await child.says('started')
    child.kill('SIGTERM')
    await until('it closes', () => child.said('state').some(({ state }) => state === 'closing'))
    child.kill('SIGTERM')
    expect(await child.ended).toEqual({ code: null, signal: 'SIGTERM' })
    expect(await queue.counts()).toMatchObject({ waiting: 1 })
    await queue.close()
  })
})

describe('close() with a handler that hears no signal', () => {
  test('resolves within grace + 1 s; a second process gets nothing until exit, and then at once', async () => {
    const { root, queue } = await bench(1)
    const deaf = new Child('work.mjs', {
      root,
      handler: 'deaf',
      options: { closeOn: ['SIGTERM'], grace: 100 },
      closesQueue: true,
    })
    await deaf.says('started')
    const other = new Child('work.mjs', { root, handler: 'quick', options: { closeOn: ['SIGTERM'] } })
    await other.says('ready')
    const began = performance.now()
    deaf.kill('SIGTERM')
    await until('it has closed', () => deaf.said('state').some(({ state }) => state === 'closed'))
    expect(performance.now() - began).toBeLessThan(2000)
    await later(1500)
    expect(other.said('started')).toEqual([])
    deaf.kill('SIGKILL')
    await other.says('done')
    other.kill('SIGTERM')
    await other.ended
    await queue.close()
  })

  test('a handler with nothing to wait for keeps no process alive after close()', async () => {
    const { root, queue } = await bench(1)
    const child = new Child('work.mjs', {
      root,
      handler: 'lost',
      options: { closeOn: ['SIGTERM'], grace: 50, timeout: 60_000 },
    })
    await child.says('started')
    child.kill('SIGTERM')
    expect((await child.ended).signal).toBeNull()
    expect(child.said('unhandled')).toEqual([])
    await queue.close()
  })
})

describe('SIGKILL', () => {
  test('a fleet whose workers are killed does each item, and never two at once', async () => {
    const { root, queue, log } = await bench(3000)
    const killed: number[] = []
    const start = (): Child =>
      new Child('work.mjs', {
        root,
        log,
        handler: 'deaf',
        ms: 10,
        options: { concurrency: 4, closeOn: ['SIGTERM'], maxTries: 3 },
      })
    let fleet = [start(), start(), start()]
    for (let round = 0; round < 4; round++) {
      const [victim] = fleet
      if (victim === undefined) break
      await victim.says('done')
      killed.push(victim.pid)
      victim.kill('SIGKILL')
      await victim.ended
      fleet = [...fleet.slice(1), start()]
    }
    await until('all is done', () => fs.readdirSync(path.join(queue.path, 'done')).length === 3000)
    for (const child of fleet) child.kill('SIGTERM')
    await Promise.all(fleet.map(async ({ ended }) => ended))
    expect(overlaps(log, killed)).toEqual([])
    expect(fleet.flatMap((child) => child.said('unhandled'))).toEqual([])
    expect(fs.readdirSync(path.join(queue.path, 'fail'))).toEqual([])
    await queue.close()
  })
})

describe('SIGKILL, OOM, segfault', () => {
  test.each([1, 4])(
    'poison items end in fail/ as crashed, and no innocent one does (concurrency %i)',
    async (concurrency) => {
      const { root, queue } = await bench(0)
      const poison = [20, 90, 91]
      await queue.enqueueMany(
        Array.from({ length: 120 }, (_, number) => ({
          data: null,
          args: [poison.includes(number) ? 'poison' : 'innocent'],
        })),
      )
      const fleet = new Set<Child>()
      let isOver = false
      let deaths = 0
      const keepOne = async (): Promise<void> => {
        while (!isOver) {
          const options = { concurrency, closeOn: ['SIGTERM'] }
          const child = new Child('work.mjs', { root, handler: 'poison', options })
          fleet.add(child)
          const { signal } = await child.ended
          if (signal === 'SIGKILL') deaths++
        }
      }
      const keepers = [keepOne(), keepOne(), keepOne()]
      await until('the queue is empty', () => fs.readdirSync(path.join(queue.path, 'queue')).length === 0)
      isOver = true
      for (const child of fleet) child.kill('SIGTERM')
      await Promise.all(keepers)
      const failed: unknown[] = []
      for await (const { id, args } of queue.items({ state: 'failed' })) {
        const attempts = await queue.attempts(id)
        failed.push([...args, attempts.at(-1)?.reason])
      }
      expect(failed).toEqual(poison.map(() => ['poison', 'crashed']))
      expect((await queue.counts()).done).toBe(117)
      expect(deaths).toBeLessThanOrEqual(4 * poison.length)
      const reasons = [...fleet].flatMap((child) => child.said('failed')).map(({ reason }) => reason)
      // A worker that fails one poison item can die of another one before it says so.
      expect(new Set(reasons)).toEqual(new Set(['crashed']))
      await queue.close()
    },
  )

  test('no mark if the worker had been told to close', async () => {
    const { root, queue } = await bench(1)
    const child = new Child('work.mjs', { root, handler: 'deaf', options: { closeOn: ['SIGTERM'] } })
    const { started } = await child.says('started')
    child.kill('SIGTERM')
    await until('it closes', () => child.said('state').length > 0)
    child.kill('SIGKILL')
    await child.ended
    const worker = await queue.work(() => undefined)
    await worker.idle()
    expect(worker.counters).toMatchObject({ crashed: 0, done: 1 })
    expect(await queue.attempts(String(started))).toEqual([])
    await queue.close()
  })
})
