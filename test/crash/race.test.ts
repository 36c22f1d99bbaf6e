// The race between open and lock, made certain: one worker pauses between the two while another one is faster.
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { Child, filesOf, isFree, makeDirectory, until } from '../support/child.js'

interface Setting {
  readonly root: string
  readonly pause: string
  readonly log: (worker: string) => string
  readonly started: (worker: string) => string[]
}

function makeSetting(): Setting {
  const directory = makeDirectory()
  const root = path.join(directory, 'root')
  fs.mkdirSync(root)
  const log = (worker: string): string => path.join(directory, `log-${worker}`)
  return {
    root,
    pause: path.join(directory, 'paused'),
    log,
    started: (worker) =>
      fs
        .readFileSync(log(worker), 'utf8')
        .split('\n')
        .filter((line) => line.startsWith('start ')),
  }
}

async function runToEnd(child: Child): Promise<void> {
  expect({ ...(await child.ended), errors: child.said('error'), stderr: child.stderr }).toEqual({
    code: 0,
    signal: null,
    errors: [],
    stderr: '',
  })
}

const KINDS = ['flock', 'fcntl'] as const

test.each(
  KINDS.flatMap((lockKind) =>
    ['done', 'fail', 'discard', 'retry'].map((action) => [lockKind, action] as const),
  ),
)(
  'a worker that has opened an item, and locks it (%s) when another has ended it (%s), skips it',
  async (lockKind, action) => {
    const { root, pause, log, started } = makeSetting()
    const queue = await Queue.install('q', { root, maxTries: 3, lockKind, queueMode: '0700' })
    const id = await queue.enqueue('data', ['one'])
    const options = { maxTries: 3 }
    const slow = new Child(
      'worker.mjs',
      { root, log: log('slow'), once: true, options },
      { faults: `claim.lock#1=pause:${pause}` },
    )
    await until('the slow worker has opened the item', () => fs.existsSync(pause))
    await runToEnd(
      new Child('worker.mjs', { root, log: log('fast'), once: true, action, options }, { faultBuild: true }),
    )
    expect(started('fast')).toEqual([`start ${id}`])
    const before = filesOf(queue.path).map(({ where, name }) => ({ where, name }))
    fs.unlinkSync(pause)
    await runToEnd(slow)

    expect(started('slow')).toEqual([])
    expect(slow.said('report')).toEqual([])
    expect(filesOf(queue.path).map(({ where, name }) => ({ where, name }))).toEqual(before)
    for (const { path: file } of filesOf(queue.path)) expect(isFree(file)).toBe(true)
    await queue.close()
  },
)

test.each(KINDS)(
  'an item whose name came to be another item meanwhile is not taken for it (%s)',
  async (lockKind) => {
    const { root, pause, log, started } = makeSetting()
    const queue = await Queue.install('q', { root, lockKind, queueMode: '0700' })
    const id = await queue.enqueue('data', ['one'])
    const slow = new Child(
      'worker.mjs',
      { root, log: log('slow'), once: true },
      { faults: `claim.lock#1=pause:${pause}` },
    )
    await until('the slow worker has opened the item', () => fs.existsSync(pause))
    await runToEnd(new Child('worker.mjs', { root, log: log('fast'), once: true }, { faultBuild: true }))
    // Another producer's item, under the name that has become free.
    fs.writeFileSync(path.join(queue.path, 'queue', id), 'another')
    fs.unlinkSync(pause)
    await runToEnd(slow)
    expect(started('slow')).toEqual([])
    const waiting = filesOf(queue.path, 'queue')
    expect(waiting.map(({ name, content }) => ({ name, content: content.toString() }))).toEqual([
      { name: id, content: 'another' },
    ])
    await queue.close()
  },
)

test.each(KINDS)(
  'a worker that comes to a locked item skips it in silence, and its holder alone has it (%s)',
  async (lockKind) => {
    const { root, pause, log, started } = makeSetting()
    const queue = await Queue.install('q', { root, lockKind, queueMode: '0700' })
    await queue.enqueue('data', ['one'])
    const holder = new Child(
      'worker.mjs',
      { root, log: log('holder'), once: true },
      { faults: `finish.rename#1=pause:${pause}` },
    )
    await until('the holder is about to finish', () => fs.existsSync(pause))
    const other = new Child('worker.mjs', { root, log: log('other'), once: true }, { faultBuild: true })
    await runToEnd(other)
    expect(other.said('report')).toEqual([])
    fs.unlinkSync(pause)
    await runToEnd(holder)
    expect([started('holder').length, started('other').length]).toEqual([1, 0])
    await queue.close()
  },
)
