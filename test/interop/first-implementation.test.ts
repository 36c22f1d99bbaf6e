// Live queues shared with programs that make the calls of the first implementation.
import { Buffer } from 'node:buffer'
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

import { afterEach, describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import { Queue, type QueueOptions, type WorkItem, construct } from '../../src/index.js'
import { native } from '../../src/addon/native.js'
import { Child, filesOf, makeDirectory, until } from '../support/child.js'
import { given } from '../support/needs.js'
import { drain, errorOf } from '../support/queue.js'

const PYTHON = '../interop/first.py'
const COUNT = 600
const ARGUMENTS = ['plain', 'a_b', 'c/d', '100%', '%5f', '', 'with space', 'line\nend', 'é', '😀', '.', '-x']
const BINARY = Buffer.from([0, 255, 10, 13, 95, 37, 0])

interface Setting {
  readonly root: string
  readonly queue: Queue
}

const queues: Queue[] = []

afterEach(async () => {
  await Promise.all(queues.splice(0).map((queue) => queue.close()))
  expect(native.heldClaims()).toBe(0)
})

async function installed(options: QueueOptions = {}): Promise<Setting> {
  const root = makeDirectory()
  const queue = await Queue.install('q', { root, durability: 'none', ...options })
  queues.push(queue)
  return { root, queue }
}

function python(root: string, command: string, job: object = {}): Child {
  return new Child(PYTHON, { command, root, queue: 'q', ...job })
}

/** Runs a command to its end. */
async function run(root: string, command: string, job: object = {}): Promise<Child> {
  const child = python(root, command, job)
  await child.says('end')
  expect(await child.ended).toEqual({ code: 0, signal: null })
  expect(child.stderr).toBe('')
  return child
}

function namesIn(queue: Queue, where: 'queue' | 'done' | 'fail' | 'tmp'): string[] {
  return filesOf(queue.path, where)
    .map(({ name }) => name)
    .sort()
}

/** Whether a process has it open for reading. */
function isListening(fifo: string): boolean {
  try {
    fs.closeSync(fs.openSync(fifo, fs.constants.O_WRONLY | fs.constants.O_NONBLOCK))
    return true
  } catch {
    return false
  }
}

function keyOf(name: string): string {
  const fields = name.split('_')
  return [...fields.slice(0, 5), ...fields.slice(6)].join('_')
}

function texts(child: Child, key: string): string[] {
  return child.said(key).map((line) => String(line[key]))
}

// The first implementation is written in Python, and so is what makes its calls here.
const ifPython = given(spawnSync('python3', ['--version']).status === 0)

ifPython.describe('with the calls of the first implementation', () => {
  test('its items are worked here', async () => {
    const { root, queue } = await installed()
    const child = await run(root, 'produce', { args: ARGUMENTS, content: BINARY.toString('base64') })
    const seen: unknown[] = []
    for await (const item of queue.scan()) {
      seen.push([item.id, item.args, item.tries, await item.bytes()])
      expect(Math.abs(Date.now() - item.enqueuedAt.getTime())).toBeLessThan(60_000)
      await item.done()
    }
    expect(seen).toEqual([[child.said('id')[0]?.['id'], ARGUMENTS, 0, BINARY]])
    expect([namesIn(queue, 'queue'), namesIn(queue, 'tmp')]).toEqual([[], []])
  })

  test('items enqueued here are worked there', async () => {
    const { root, queue } = await installed()
    const ids = [await queue.enqueue(BINARY, ARGUMENTS), await queue.enqueue(null)]
    const child = await run(root, 'work', { action: 'done', once: true })
    expect(child.said('ran')).toEqual([
      { ran: ids[0], args: ARGUMENTS, content: BINARY.toString('base64') },
      { ran: ids[1], args: [], content: '' },
    ])
    expect(namesIn(queue, 'done')).toEqual([...ids].sort())
  })

  test('names are written and read the same by both', async () => {
    // NUL is ours: theirs cannot have it in a name.
    const text = fc.string({ unit: fc.constantFrom(...Array.from('ab_%/ é😀\n.\\5f')) })
    const lists = [
      ARGUMENTS,
      ...fc.sample(fc.array(text, { minLength: 1, maxLength: 4 }), { seed: 1, numRuns: 500 }),
    ]
    const names = lists.map((args) => construct(args))
    const { root } = await installed()
    const child = await run(root, 'names', { pairs: lists.map((args, index) => [args, names[index]]) })
    expect(child.said('name')).toEqual(lists.map((args, index) => ({ name: names[index], args })))
  })

  test('each skips what the other holds, and takes it when the other is killed', async () => {
    const { root, queue } = await installed()
    const first = await queue.enqueue('1', ['1'])
    const holder = python(root, 'hold')
    expect(await holder.says('held')).toEqual({ held: first })
    expect(await drain(queue)).toEqual([])
    holder.kill()
    await holder.ended
    const taken: string[] = []
    for await (const item of queue.scan()) {
      taken.push(item.id)
      // Ours now: they find nothing.
      expect((await run(root, 'work', { action: 'done', once: true })).said('ran')).toEqual([])
      item.release()
    }
    expect(taken).toEqual([first])
    expect(texts(await run(root, 'work', { action: 'done', once: true }), 'finished')).toEqual([first])
  })

  test('a worker of ours that is killed gives back to theirs', async () => {
    const { root, queue } = await installed()
    const id = await queue.enqueue('x', ['x'])
    const log = path.join(root, 'log')
    const ours = new Child('worker.mjs', { root, log }, { faults: 'finish.rename=kill' })
    expect(await ours.ended).toEqual({ code: null, signal: 'SIGKILL' })
    expect(fs.readFileSync(log, 'utf8')).toBe(`start ${id}\n`)
    expect(texts(await run(root, 'work', { action: 'done', once: true }), 'finished')).toEqual([id])
  })

  test.each(['done', 'retry'])('%s there, between our open and our lock, is noticed', async (action) => {
    const { root, queue } = await installed()
    await queue.enqueue('x', ['x'])
    const [log, gate] = [path.join(root, 'log'), path.join(root, 'gate')]
    const job = { root, log, once: true, options: { maxTries: 0 } }
    const ours = new Child('worker.mjs', job, { faults: `claim.lock=pause:${gate}` })
    await until('ours has opened it', () => fs.existsSync(gate))
    const theirs = await run(root, 'work', { action, maxTries: 0, once: true })
    expect(theirs.said('finished')).toHaveLength(1)
    fs.unlinkSync(gate)
    expect(await ours.ended).toEqual({ code: 0, signal: null })
    expect([ours.said('error'), ours.said('report'), fs.readFileSync(log, 'utf8')]).toEqual([[], [], ''])
  })

  test('a temporary failure of either counts for both', async () => {
    const { root, queue } = await installed({ maxTries: 3 })
    await queue.enqueue('x', ['a_b', 'c'])
    const again = { action: 'retry', maxTries: 3, once: true }
    await run(root, 'work', again)
    expect(namesIn(queue, 'queue')).toEqual([expect.stringMatching(/_1_a%5fb_c$/)])
    for await (const item of queue.scan()) {
      expect([item.tries, item.args]).toEqual([1, ['a_b', 'c']])
      expect(await item.retry()).toBe('waiting')
    }
    const last = await run(root, 'work', again)
    expect(texts(last, 'ran')).toEqual([expect.stringMatching(/_2_a%5fb_c$/)])
    expect(namesIn(queue, 'fail')).toEqual([expect.stringMatching(/_2_a%5fb_c$/)])
    expect(namesIn(queue, 'queue')).toEqual([])
  })

  test('a permanent failure there lies where it would here', async () => {
    const { root, queue } = await installed()
    const id = await queue.enqueue('x')
    await run(root, 'work', { action: 'fail', once: true })
    expect((await queue.find(id))?.state).toBe('failed')
  })

  test('either takes the queue down for both', async () => {
    const { root, queue } = await installed()
    const id = await queue.enqueue('x')
    await run(root, 'down')
    expect(await queue.isDown()).toBe(true)
    expect(await errorOf(async () => drain(queue))).toMatchObject({ code: 'ERR_FSQ_QUEUE_DOWN' })
    await queue.up()
    await queue.down()
    const stopped = await run(root, 'work', { action: 'done', once: true })
    expect([stopped.said('down'), stopped.said('ran')]).toEqual([[{ down: true }], []])
    await run(root, 'up')
    expect(await drain(queue)).toEqual([id])
  })

  test('down stops a scan of ours that is under way', async () => {
    const { root, queue } = await installed()
    for (let count = 0; count < 40; count++) await queue.enqueue(null, [count])
    const ran: WorkItem[] = []
    const error = await errorOf(async () => {
      for await (const item of queue.scan({ prefetch: 16 })) {
        ran.push(item)
        await item.done()
        if (ran.length === 5) await run(root, 'down')
      }
    })
    expect([ran.length, error]).toEqual([5, expect.objectContaining({ code: 'ERR_FSQ_QUEUE_DOWN' })])
    expect(namesIn(queue, 'queue')).toHaveLength(35)
  })

  test('either pulls the trigger of the other', async () => {
    const { root, queue } = await installed()
    await queue.trigger()
    const theirs = python(root, 'listen')
    await theirs.says('listening')
    await queue.triggerPull()
    expect(await theirs.says('pulled')).toEqual({ pulled: 1 })
    await theirs.ended
    const stop = new AbortController()
    const waiting = queue.scanForever({ signal: stop.signal })
    const next = waiting.next()
    await until('ours listens', () => isListening(path.join(queue.path, 'trigger-s')))
    await run(root, 'pull')
    stop.abort()
    expect(await errorOf(async () => next)).toBe(stop.signal.reason)
  })

  test('a worker of ours that waits has what one of theirs held when it was killed', async () => {
    const { root, queue } = await installed()
    const id = await queue.enqueue('x', ['x'])
    const holder = python(root, 'hold')
    await holder.says('held')
    const waiting = queue.scanForever({ signal: AbortSignal.timeout(30_000) })
    const next = waiting.next()
    const other = await queue.enqueue('y', ['y'])
    expect((await next).value?.id).toBe(other)
    const held = waiting.next()
    holder.kill()
    expect((await held).value?.id).toBe(id)
    await waiting.return()
  })

  describe('a mixed fleet', () => {
    interface Outcome {
      /** By name: what each side finished. */
      readonly ours: string[]
      readonly theirs: string[]
      readonly ids: readonly string[]
      readonly queue: Queue
    }

    /** Two producers and two workers of each kind at once, until every item is done. */
    async function workTogether(ourAction: string, theirAction: string): Promise<Outcome> {
      const { root, queue } = await installed({ maxTries: 0 })
      const logs = ['one', 'two'].map((name) => path.join(makeDirectory(), name))
      const ours = logs.map(
        (log) => new Child('worker.mjs', { root, log, action: ourAction, options: { maxTries: 0 } }),
      )
      const theirs = [0, 1].map(() => python(root, 'work', { action: theirAction, maxTries: 0 }))
      await Promise.all([...ours, ...theirs].map((child) => child.says('ready')))
      const producers = [0, 1].map(() => run(root, 'produce', { count: COUNT / 4 }))
      const ids: string[] = []
      for (let index = 0; index < COUNT / 2; index++) ids.push(await queue.enqueue('', [index]))
      for (const producer of await Promise.all(producers)) ids.push(...texts(producer, 'id'))
      const done = path.join(queue.path, 'done')
      await until('all are done', () => fs.readdirSync(done).length === COUNT)
      for (const child of [...ours, ...theirs]) child.tell('stop')
      for (const child of [...ours, ...theirs]) {
        expect(await child.ended).toEqual({ code: 0, signal: null })
        expect([child.stderr, child.said('error'), child.said('report')]).toEqual(['', [], []])
      }
      const lines = logs.flatMap((log) => fs.readFileSync(log, 'utf8').trimEnd().split('\n'))
      const starts = lines.filter((line) => line.startsWith('start ')).map((line) => line.slice(6))
      const ends = lines.filter((line) => line.startsWith('done ')).map((line) => line.slice(5))
      // An item handed out here exists and no other worker holds it, regardless of what the other worker did meanwhile.
      expect(ends.sort()).toEqual(starts.sort())
      expect(namesIn(queue, 'queue')).toEqual([])
      expect(namesIn(queue, 'tmp')).toEqual([])
      expect(namesIn(queue, 'done').map(keyOf).sort()).toEqual(ids.map(keyOf).sort())
      return { ours: ends, theirs: theirs.flatMap((child) => texts(child, 'finished')), ids, queue }
    }

    test('finishes each item once', async () => {
      const { ours, theirs, ids } = await workTogether('done', 'done')
      expect([...ours, ...theirs].sort()).toEqual([...ids].sort())
      expect(ours.length).toBeGreaterThan(0)
      expect(theirs.length).toBeGreaterThan(0)
    }, 120_000)

    test('whose other half fails for now all the time', async () => {
      const { ours, theirs, ids, queue } = await workTogether('done', 'retry')
      expect(ours.map(keyOf).sort()).toEqual(ids.map(keyOf).sort())
      // As many tries as there were failures: no item was ever there twice.
      const tries = namesIn(queue, 'done').map((name) => Number(name.split('_')[5]))
      expect(tries.reduce((sum, count) => sum + count, 0)).toBe(theirs.length)
    }, 120_000)

    test('where ours is the one that fails', async () => {
      const { ours, theirs, ids, queue } = await workTogether('retry', 'done')
      expect(theirs.map(keyOf).sort()).toEqual(ids.map(keyOf).sort())
      const tries = namesIn(queue, 'done').map((name) => Number(name.split('_')[5]))
      expect(tries.reduce((sum, count) => sum + count, 0)).toBe(ours.length)
    }, 120_000)
  })
})
