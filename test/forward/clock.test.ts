// A forwarder whose clock of the day is set ahead and back by an hour, for as long as its target knows ids: before, between and after crashes. Nothing
// is lost, nothing arrives twice, and what is in doubt is held.
import path from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/queue.js'
import { Child, makeDirectory, until } from '../support/child.js'
import { SetClock } from '../support/set-clock.js'
import { SinkServer } from './sink-server.js'

const HOURS = [-1, 0, 1]
const PATIENCE_MS = 45_000

interface Site extends AsyncDisposable {
  readonly root: string
  readonly queue: Queue
  readonly server: SinkServer
  readonly clock: SetClock
  readonly run: () => Child
}

/** @param at - Called at each step of the target. */
async function site(count: number, at: (step: string) => void): Promise<Site> {
  const root = makeDirectory()
  const socket = path.join(root, 'socket')
  const queue = await Queue.install('q', { root })
  await queue.enqueueMany(Array.from({ length: count }, (_, index) => ({ data: `${index}` })))
  const server = new SinkServer({ socket, at })
  await server.listen()
  const clock = new SetClock(root)
  return {
    ...{ root, queue, server, clock },
    run: () => new Child('forwarder.mjs', { root, socket, inFlight: 20 }, clock.options),
    [Symbol.asyncDispose]: async () => {
      server.close()
      await queue.close()
    },
  }
}

test.each([
  [0, 0, 1],
  [0, 0, -1],
  [0, 1, 1],
  [0, 1, 0],
  [0, -1, 0],
  [1, 0, 0],
  [1, 1, -1],
  [-1, 0, -1],
  [-1, 1, 1],
  [1, -1, 1],
])(
  'put at %i h, killed, started at %i h, and then set to %i h: what the target may have forgotten by that clock is held',
  async (before, between, after) => {
    let child: Child | undefined
    await using place = await site(3, (step) => {
      if (step === 'stored') child?.kill()
    })
    const { queue, server, clock } = place
    clock.set(before)
    child = place.run()
    await child.ended
    child = undefined
    expect(server.arrivals.size).toBe(3)

    clock.set(between)
    const next = place.run()
    await next.says('forwards')
    clock.set(after)
    await until('nothing waits', () => next.said('held').length === 3 || server.duplicates === 3)
    // Ahead of the put by an hour, of which a minute is enough.
    if (between <= before && after <= before) expect(next.said('held')).toEqual([])
    if (between > before && after > before) expect(server.duplicates).toBe(0)
    if (server.duplicates === 0) {
      expect(await queue.counts()).toMatchObject({ failed: 3 })
      await queue.redrive('all')
      await until('the target knows them', () => server.duplicates === 3)
    }
    next.kill('SIGTERM')
    await next.ended
    expect(await queue.counts()).toMatchObject({ waiting: 0, failed: 0, done: 3 })
    expect([...server.arrivals.values()]).toEqual([1, 1, 1])
  },
)

test('forwarders whose clocks are set all the time, and that are killed all the time', async () => {
  const count = 400
  const children = new Set<Child>()
  let isOver = false
  let steps = 0
  let kills = 0
  await using place = await site(count, () => {
    // Not at random: some runs would have too few.
    if (isOver || ++steps % 7 !== 0) return
    place.clock.set(HOURS[Math.floor(Math.random() * HOURS.length)] ?? 0)
    const [child] = [...children].sort(() => Math.random() - 0.5)
    if (child === undefined) return
    kills++
    child.kill(Math.random() < 0.2 ? 'SIGTERM' : 'SIGKILL')
  })
  const { queue, server } = place
  const run = async (): Promise<void> => {
    while (!isOver) {
      const child = place.run()
      children.add(child)
      await child.ended
      children.delete(child)
    }
  }
  const runs = [run(), run()]
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    const { waiting, failed } = await queue.counts()
    if (waiting + failed === 0 || performance.now() > deadline) break
    // As an operator does: what is held is known to have arrived, or not.
    if (failed > 0) await queue.redrive('all')
    await later(20)
  }
  isOver = true
  for (const child of children) child.kill('SIGTERM')
  await Promise.all(runs)
  expect(kills).toBeGreaterThan(2)
  expect(server.arrivals.size).toBe(count)
  expect([...server.arrivals.values()].filter((times) => times > 1)).toEqual([])
  expect(await queue.counts()).toMatchObject({ waiting: 0, failed: 0, done: count })
}, 90_000)
