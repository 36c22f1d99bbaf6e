// What audit and repair know of received/.
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { SettingError } from '../../src/errors/classes.js'
import { Queue } from '../../src/queue.js'
import { receive } from '../../src/receive/receive.js'
import { makeDirectory } from '../support/child.js'
import { MemoryStream } from './stream.js'

async function received(): Promise<{ queue: Queue; own: string }> {
  const queue = await Queue.install('q', { root: makeDirectory({ quick: true }) })
  const stream = new MemoryStream()
  stream.publish('a')
  const receiver = await receive(stream, queue)
  await stream.has(1)
  await receiver.close()
  return { queue, own: path.join(queue.path, 'received', 'stream') }
}

async function findings(queue: Queue): Promise<string[]> {
  const found: string[] = []
  for await (const { kind, path: file, message } of queue.audit())
    found.push(`${kind}: ${path.relative(queue.path, file)} ${message}`)
  return found
}

test('a receiver leaves nothing to find, while it runs and after it', async () => {
  const { queue } = await received()
  expect(await findings(queue)).toEqual([])
  const receiver = await receive(new MemoryStream(), queue)
  expect(await findings(queue)).toEqual([])
  await receiver.close()
})

test('staged items of a receiver that does not run are told of, and a repair removes nothing, however old it is', async () => {
  const { queue, own } = await received()
  const old = Date.now() / 1000 - 40 * 3600
  for (const name of ['one', 'two']) {
    fs.writeFileSync(path.join(own, 'staged', name), 'x')
    fs.utimesSync(path.join(own, 'staged', name), old, old)
  }
  const before = fs.readdirSync(own, { recursive: true }).toSorted()
  expect(await findings(queue)).toEqual([
    'abandoned: received/stream/staged is of a receiver that does not run: 2 items, up to 1d 16h old, wait for its next start',
  ])
  const { mended, unmended } = await queue.repair()
  expect(mended).toEqual([])
  expect(unmended).toMatchObject([{ kind: 'abandoned', reason: 'The next receiver does so' }])
  expect(fs.readdirSync(own, { recursive: true }).toSorted()).toEqual(before)
})

test('modes are those of the queue, and files that do not belong there are left alone', async () => {
  const { queue, own } = await received()
  const mode = fs.statSync(queue.path).mode
  for (const directory of ['..', '.', 'staged'])
    expect(fs.statSync(path.join(own, directory)).mode).toBe(mode)
  fs.chmodSync(own, 0o700)
  fs.writeFileSync(path.join(own, 'notes'), '')
  fs.mkdirSync(path.join(own, 'staged', 'directory'))
  fs.writeFileSync(path.join(own, '..', 'file'), '')
  expect((await findings(queue)).toSorted()).toEqual([
    'foreign: received/file is no part of received/, and is left alone',
    'foreign: received/stream/notes is no part of received/, and is left alone',
    'foreign: received/stream/staged/directory is no regular file, and is never an item',
    'mode: received/stream has mode 700, and the queue has 2770',
  ])
  await queue.repair()
  expect(fs.statSync(own).mode).toBe(mode)
  // A start leaves them alone, too.
  await (await receive(new MemoryStream(), queue)).close()
  expect(fs.existsSync(path.join(own, 'staged', 'directory'))).toBe(true)
})

test('staged items are no items yet: they neither count nor keep a queue from being removed', async () => {
  const { queue, own } = await received()
  fs.rmSync(path.join(queue.paths.queue, fs.readdirSync(queue.paths.queue)[0] ?? ''))
  fs.writeFileSync(path.join(own, 'staged', 'one'), 'x')
  expect(await queue.isEmpty()).toBe(true)
  expect((await queue.counts()).waiting).toBe(0)
  await queue.uninstall()
})

test('no setting may name an entry of a queue like the directory of the receivers', () => {
  expect(() => new Queue('q', { done: 'received' })).toThrow(SettingError)
})
