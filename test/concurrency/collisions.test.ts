// Producers that have one pid text, one host name, one timestamp and the same entropies.
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { Child, filesOf, makeDirectory } from '../support/child.js'

const COUNT = 2_000

async function expectAll(
  children: readonly Child[],
  queuePath: string,
  labels: readonly string[],
): Promise<void> {
  for (const child of children) {
    expect({ ...(await child.ended), errors: child.said('error'), stderr: child.stderr }).toEqual({
      code: 0,
      signal: null,
      errors: [],
      stderr: '',
    })
  }
  const lists = children.flatMap((child) => child.said('ids').map(({ ids }) => ids as string[]))
  expect(lists.map(({ length }) => length)).toEqual(labels.map(() => COUNT))
  const ids = lists.flat()
  expect(new Set(ids).size).toBe(ids.length)
  const files = filesOf(queuePath)
  expect(files.every(({ where }) => where === 'queue')).toBe(true)
  expect(files.map(({ name }) => name).toSorted()).toEqual(ids.toSorted())
  // All of one pid and host: else the test would show nothing.
  expect(
    new Set(
      ids.map((id) =>
        id
          .split('_')
          .filter((_, index) => index !== 2)
          .join('_'),
      ),
    ).size,
  ).toBe(1)
  for (const label of labels)
    expect(files.filter(({ content }) => content.toString() === label)).toHaveLength(COUNT)
}

function makeRoot(): string {
  const root = path.join(makeDirectory(), 'root')
  fs.mkdirSync(root)
  return root
}

test('two processes never collide', async () => {
  const root = makeRoot()
  const queue = await Queue.install('q', { root })
  const job = { root, pid: 1, host: 'container', count: COUNT }
  const children = ['a', 'b'].map((label) => new Child('producer.mjs', { ...job, label }))
  for (const child of children) await child.says('ready')
  for (const child of children) child.tell('go')
  await expectAll(children, queue.path, ['a', 'b'])
  await queue.close()
}, 60_000)

test('two threads never collide', async () => {
  const root = makeRoot()
  const queue = await Queue.install('q', { root })
  const job = { root, pid: 1, host: 'container', count: COUNT, label: 't', threads: 2 }
  await expectAll([new Child('producer.mjs', job)], queue.path, ['t0', 't1'])
  await queue.close()
}, 60_000)
