// Forwarders in processes of their own, killed at any moment: nothing is lost, and nothing arrives twice.
import path from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/queue.js'
import { Child, makeDirectory } from '../support/child.js'
import { SinkServer } from './sink-server.js'

const ITEMS = 600
const PATIENCE_MS = 45_000

interface Outcome {
  readonly kills: number
  readonly duplicates: number
  readonly lost: number
  readonly twice: number
  readonly held: number
  readonly failed: number
}

/** Forwards all items by two forwarders, which are killed and closed all the time. */
async function forwardAll(ignoresIds: boolean): Promise<Outcome> {
  const root = makeDirectory()
  await using queue = await Queue.install('q', { root })
  const texts = Array.from({ length: ITEMS }, (_, index) => `${index}`)
  await queue.enqueueMany(texts.map((data) => ({ data })))
  const socket = path.join(root, 'socket')
  let kills = 0
  let puts = 0
  let held = 0
  let isOver = false
  const children = new Set<Child>()
  const kill = (child: Child | undefined, signal: NodeJS.Signals): void => {
    if (child === undefined || !children.delete(child)) return
    kills++
    child.kill(signal)
  }
  const server = new SinkServer({
    socket,
    ignoresIds,
    at: (step, pid) => {
      if (isOver) return
      // Kills at any moment may all miss the one that makes a duplicate, so each seventh put meets it.
      if (step === 'stored' && ++puts % 7 === 0)
        kill(
          [...children].find((child) => child.pid === pid),
          'SIGKILL',
        )
      if (Math.random() > 0.04) return
      const [child] = [...children].sort(() => Math.random() - 0.5)
      kill(child, Math.random() < 0.2 ? 'SIGTERM' : 'SIGKILL')
    },
  })
  await server.listen()
  const run = async (): Promise<void> => {
    while (!isOver) {
      const child = new Child('forwarder.mjs', { root, socket, inFlight: 20 })
      children.add(child)
      await child.ended
      held += child.said('held').length
      children.delete(child)
    }
  }
  const runs = [run(), run()]
  const deadline = Date.now() + PATIENCE_MS
  try {
    while (!(await queue.isEmpty()) && Date.now() < deadline) await later(20)
  } finally {
    isOver = true
    for (const child of children) child.kill('SIGTERM')
    await Promise.all(runs)
    server.close()
  }
  const { failed } = await queue.counts()
  return {
    kills,
    held,
    failed,
    duplicates: server.duplicates,
    lost: texts.filter((text) => !server.arrivals.has(text)).length,
    twice: [...server.arrivals.values()].filter((count) => count > 1).length,
  }
}

test('Forwarders that are killed lose nothing, and nothing arrives twice', async () => {
  const { kills, duplicates, ...rest } = await forwardAll(false)
  expect(rest).toEqual({ held: 0, failed: 0, lost: 0, twice: 0 })
  expect(kills).toBeGreaterThan(2)
  expect(duplicates).toBeGreaterThan(0)
})

test('The same test finds items that arrive twice at a target without ids', async () => {
  const { lost, twice } = await forwardAll(true)
  expect(lost).toBe(0)
  expect(twice).toBeGreaterThan(0)
})
