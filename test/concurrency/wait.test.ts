// Several processes wait for the items of one queue.
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { Child, filesOf, makeDirectory, until } from '../support/child.js'

const WAITERS = 3
const KILLS = 15
const ITEMS = 600

function makeRoot(): string {
  const root = path.join(makeDirectory(), 'root')
  fs.mkdirSync(root)
  return root
}

// By what they are woken: Node's event loop, or, in a runtime that has none of that kind, a thread.
const WAYS = [
  ['the event loop', undefined],
  ['a thread', 'bun'],
] as const

async function waiters(root: string, runtime: string | undefined): Promise<Child[]> {
  const children = Array.from({ length: WAITERS }, () => new Child('wait-for-items.mjs', { root, runtime }))
  for (const child of children) await child.says('ready')
  return children
}

const taken = (children: readonly Child[]): unknown[] =>
  children.flatMap((child) => child.said('took').map(({ took }) => took))

async function end(children: readonly Child[]): Promise<void> {
  for (const child of children) {
    child.tell('stop')
    expect({ ...(await child.ended), stderr: child.stderr }).toEqual({ code: 0, signal: null, stderr: '' })
  }
}

test.each(WAYS)(
  'by %s: each item is run once, whenever it comes',
  async (_way, runtime) => {
    const root = makeRoot()
    const queue = await Queue.install('q', { root, durability: 'none' })
    const children = await waiters(root, runtime)
    const ids: string[] = []
    while (ids.length < ITEMS) {
      const count = Math.floor(Math.random() * 5) + 1
      ids.push(...(await queue.enqueueMany(Array.from({ length: count }, () => ({ data: 'x' })))))
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 4))
    }
    await until('all have been taken', () => taken(children).length >= ids.length)
    await end(children)
    expect(taken(children).toSorted()).toEqual(ids.toSorted())
    expect(filesOf(queue.path, 'done')).toHaveLength(ids.length)
    await queue.close()
  },
  60_000,
)

test.each(WAYS)(
  'by %s: the item of a worker that is killed runs elsewhere, once',
  async (_way, runtime) => {
    const root = makeRoot()
    const side = await Queue.install('side', { root, durability: 'none' })
    const queue = await Queue.install('q', { root, durability: 'none' })
    const children = await waiters(root, runtime)
    for (let kill = 1; kill <= KILLS; kill++) {
      // Claimed elsewhere, and then moved here: else one of those that wait would have it first.
      const id = await side.enqueue('x')
      const holder = new Child('hold-item.mjs', { root, name: 'side' })
      await holder.says('held')
      fs.renameSync(path.join(side.path, 'queue', id), path.join(queue.path, 'queue', id))
      const before = taken(children).length
      expect(before).toBe(kill - 1)
      holder.kill()
      await until('it has been taken', () => taken(children).length === kill)
      expect(taken(children)).toContain(id)
    }
    await end(children)
    expect(filesOf(queue.path, 'done')).toHaveLength(KILLS)
    await Promise.all([side.close(), queue.close()])
  },
  60_000,
)
