// A receiver in a child that is killed, with SIGKILL, after each step, and all the time: each message arrives once.
import fs from 'node:fs'
import path from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/queue.js'
import { receive } from '../../src/receive/receive.js'
import { Child, makeDirectory, until } from '../support/child.js'
import { SetClock } from '../support/set-clock.js'
import { SocketStream, type SentMessage } from './socket-stream.js'
import { MemoryStream } from './stream.js'

const FORTY_HOURS = 40 * 3600

interface Step {
  readonly name: string
  readonly kill?: object
  readonly faults?: string
  /** What the disk has. */
  readonly staged: number
  readonly entries: readonly string[]
  readonly waiting: number
  /** What the next receiver makes of it. */
  readonly recovered: number
  readonly known: number
}

const STEPS: readonly Step[] = [
  {
    name: 'before the item is staged',
    faults: 'enqueue.link=kill',
    staged: 0,
    entries: [],
    waiting: 0,
    recovered: 0,
    known: 0,
  },
  {
    name: 'after the item is staged',
    kill: { call: 'write', line: '+', when: 'before' },
    staged: 1,
    entries: [],
    waiting: 0,
    recovered: 0,
    known: 0,
  },
  {
    name: 'after + is written',
    kill: { call: 'sync', when: 'before' },
    staged: 1,
    entries: ['+'],
    waiting: 0,
    recovered: 1,
    known: 1,
  },
  {
    name: 'after + is durable',
    kill: { call: 'write', line: '=', when: 'before' },
    staged: 1,
    entries: ['+'],
    waiting: 0,
    recovered: 1,
    known: 1,
  },
  {
    name: 'after = is written',
    faults: 'receive.rename=kill',
    staged: 1,
    entries: ['+', '='],
    waiting: 0,
    recovered: 1,
    known: 1,
  },
  {
    name: 'after the rename',
    faults: 'receive.rename=kill-after',
    staged: 0,
    entries: ['+', '='],
    waiting: 1,
    recovered: 0,
    known: 1,
  },
  {
    name: 'before the acknowledgement',
    kill: { call: 'ack', when: 'before' },
    staged: 0,
    entries: ['+', '='],
    waiting: 1,
    recovered: 0,
    known: 1,
  },
  {
    name: 'after the acknowledgement',
    kill: { call: 'ack', when: 'after' },
    staged: 0,
    entries: ['+', '='],
    waiting: 1,
    recovered: 0,
    known: 1,
  },
]

type Claims = 'lock' | 'rename'

interface Site {
  readonly root: string
  readonly queue: Queue
  readonly received: string
}

async function site(claims: Claims, directory = makeDirectory({ quick: true })): Promise<Site> {
  const queue = await Queue.install('q', { root: directory, claims })
  return { root: directory, queue, received: path.join(queue.path, 'received', 'stream') }
}

/** A receiver that is killed at a step with one message, `m`. */
async function killAt({ kill, faults }: Pick<Step, 'kill' | 'faults'>, { root }: Site): Promise<void> {
  const stream = new SocketStream(root)
  stream.publish({ id: 'm', args: ['m'], body: 'body' })
  const child = new Child(
    'receiver.mjs',
    { root, socket: stream.path, kill },
    faults === undefined ? {} : { faults },
  )
  expect(await child.ended).toMatchObject({ signal: 'SIGKILL' })
  await stream.close()
}

function ledgerPath(received: string): string {
  const [name = ''] = fs.readdirSync(received).filter((one) => one.startsWith('ledger-'))
  return path.join(received, name)
}

function linesOf(received: string): string[] {
  const file = ledgerPath(received)
  if (file === received) return []
  return fs.readFileSync(file, 'latin1').split('\n').slice(0, -1)
}

function stagedIn(received: string): string[] {
  return fs.readdirSync(path.join(received, 'staged'))
}

/** Delivers `m` once more, to a new receiver in this process. */
async function redeliver({ queue }: Site): Promise<{ recovered: number; known: number; taken: number }> {
  const stream = new MemoryStream()
  const receiver = await receive(stream, queue)
  stream.publish({ id: 'm', args: ['m'], body: 'body' })
  await stream.has(1)
  await receiver.close()
  return receiver.numbers
}

async function arrivedIn({ queue }: Site): Promise<number> {
  const { waiting, done, failed } = await queue.counts()
  return waiting + done + failed
}

async function workOff(queue: Queue, finish: 'done' | 'discard'): Promise<number> {
  let count = 0
  for await (const item of queue.scan()) {
    expect(await item.text()).toBe('body')
    await item[finish]()
    count++
  }
  return count
}

const BOTH = STEPS.flatMap((step) => (['lock', 'rename'] as const).map((claims) => ({ ...step, claims })))

test.each(BOTH)('killed $name, the message arrives once (claims: $claims)', async ({ claims, ...step }) => {
  const place = await site(claims)
  await killAt(step, place)
  expect(stagedIn(place.received)).toHaveLength(step.staged)
  expect(linesOf(place.received).map((line) => line[0])).toEqual(step.entries)
  expect(await arrivedIn(place)).toBe(step.waiting)

  expect(await redeliver(place)).toMatchObject({
    recovered: step.recovered,
    known: step.known,
    taken: 1 - step.known,
  })
  expect(stagedIn(place.received)).toEqual([])
  expect(await workOff(place.queue, 'discard')).toBe(1)
  // The item has left no trace, and its message is known all the same.
  expect(await redeliver(place)).toMatchObject({ known: 1, taken: 0 })
  expect(await arrivedIn(place)).toBe(0)
})

test.each(STEPS)('killed $name, and discarded before the next start, it arrives once', async (step) => {
  const place = await site('lock')
  await killAt(step, place)
  const worked = await workOff(place.queue, 'discard')
  expect(worked).toBe(step.waiting)
  await redeliver(place)
  expect(worked + (await workOff(place.queue, 'discard'))).toBe(1)
})

test('killed after the ledger line, 40 hours and a repair later, the item arrives once', async () => {
  for (const name of ['after + is written', 'after + is durable', 'after = is written']) {
    const place = await site('lock')
    await killAt(STEPS.find((step) => step.name === name) ?? {}, place)
    const old = Date.now() / 1000 - FORTY_HOURS
    const [staged = ''] = stagedIn(place.received)
    for (const file of [
      path.join('staged', staged),
      path.basename(ledgerPath(place.received)),
      'staged',
      '.',
    ])
      fs.utimesSync(path.join(place.received, file), old, old)
    await place.queue.repair()
    expect(stagedIn(place.received)).toEqual([staged])
    expect(await redeliver(place)).toMatchObject({ recovered: 1, known: 1, taken: 0 })
    expect(await workOff(place.queue, 'done')).toBe(1)
  }
})

test('if another program removes the staged file of an item that was never renamed, the new delivery is enqueued', async () => {
  for (const name of ['after + is written', 'after + is durable']) {
    const place = await site('lock')
    await killAt(STEPS.find((step) => step.name === name) ?? {}, place)
    fs.rmSync(path.join(place.received, 'staged', stagedIn(place.received)[0] ?? ''))
    expect(await redeliver(place)).toMatchObject({ recovered: 0, known: 0, taken: 1 })
    expect(await redeliver(place)).toMatchObject({ known: 1, taken: 0 })
    expect(await workOff(place.queue, 'done')).toBe(1)
  }
})

// The states that a power cut can leave, made by hand from the states after a kill.
test.each(['waiting', 'done', 'failed', 'claimed'] as const)(
  'if a power cut takes = back and not the rename, an item that is %s is found',
  async (where) => {
    const place = await site(where === 'claimed' ? 'rename' : 'lock')
    await killAt({ faults: 'receive.rename=kill-after' }, place)
    const file = ledgerPath(place.received)
    const [added = ''] = linesOf(place.received)
    fs.truncateSync(file, added.length + 1)
    const items = place.queue.scan()
    if (where !== 'waiting') {
      const { value: item } = await items.next()
      if (where === 'done') await item?.done()
      if (where === 'failed') await item?.fail()
    }
    expect(await redeliver(place)).toMatchObject({ recovered: 0, known: 1, taken: 0 })
    expect(linesOf(place.received).map((line) => line[0])).toEqual(['+', '='])
    await items.return()
    expect(await arrivedIn(place)).toBe(1)
  },
)

test('if a power cut takes the rename back after the acknowledgement, the next start makes it again', async () => {
  const place = await site('lock')
  await killAt({ kill: { call: 'ack', when: 'after' } }, place)
  const [name = ''] = fs.readdirSync(place.queue.paths.queue)
  fs.renameSync(path.join(place.queue.paths.queue, name), path.join(place.received, 'staged', name))
  const receiver = await receive(new MemoryStream(), place.queue)
  await receiver.close()
  expect(receiver.numbers.recovered).toBe(1)
  expect(fs.readdirSync(place.queue.paths.queue)).toEqual([name])
})

test('if a power cut leaves both names of a file, the item is not there twice', async () => {
  const place = await site('lock')
  await killAt({ kill: { call: 'ack', when: 'after' } }, place)
  const [name = ''] = fs.readdirSync(place.queue.paths.queue)
  fs.linkSync(path.join(place.queue.paths.queue, name), path.join(place.received, 'staged', name))
  expect(await redeliver(place)).toMatchObject({ recovered: 0, known: 1 })
  expect(stagedIn(place.received)).toEqual([])
  expect(await workOff(place.queue, 'done')).toBe(1)
})

test('a torn last line of the ledger is cut off, and bytes without meaning are skipped', async () => {
  const place = await site('lock')
  await killAt({ kill: { call: 'ack', when: 'after' } }, place)
  fs.appendFileSync(ledgerPath(place.received), '\0\0\0\0\n+ torn _2026')
  expect(await redeliver(place)).toMatchObject({ known: 1 })
  expect(linesOf(place.received).at(-1)).toBe('\0\0\0\0')
})

test('an item whose name is taken in queue/ takes another one, and is known by it', async () => {
  for (const interrupted of [false, true]) {
    const place = await site('lock')
    await killAt({ faults: 'receive.rename=kill' }, place)
    const [name = ''] = stagedIn(place.received)
    fs.writeFileSync(path.join(place.queue.paths.queue, name), 'body')
    if (interrupted) {
      // A start that was killed after the line with the new name, ahead of the rename within staged/.
      fs.appendFileSync(ledgerPath(place.received), `+ m ${name.replace(/^(_\d+_)\d+/, '$17777')}\n`)
    }
    expect(await redeliver(place)).toMatchObject({ recovered: 1, known: 1 })
    expect(stagedIn(place.received)).toEqual([])
    const names = fs.readdirSync(place.queue.paths.queue)
    expect(names).toHaveLength(2)
    expect(await workOff(place.queue, 'discard')).toBe(2)
    expect(await redeliver(place)).toMatchObject({ known: 1, taken: 0 })
  }
})

test.each([
  ['EINVAL', 22],
  ['ENOSYS', 38],
  ['EOPNOTSUPP', 95],
])('without an exclusive rename (%s), messages arrive, also after a kill', async (_name, errno) => {
  const place = await site('rename')
  await killAt({ faults: `receive.rename#1=errno:${errno};receive.rename#2=kill` }, place)
  expect(stagedIn(place.received)).toHaveLength(1)
  const stream = new SocketStream(place.root)
  stream.publish(...messages(50))
  const child = new Child(
    'receiver.mjs',
    { root: place.root, socket: stream.path },
    { faults: `receive.rename#1=errno:${errno}` },
  )
  expect(await child.says('ready')).toMatchObject({ recovered: 1 })
  await until('all are acknowledged', () => stream.isDone)
  expect(await arrivedIn(place)).toBe(51)
  await stream.close()
})

test.each([
  ['the disk is full', 'enqueue.write#2=errno:28;enqueue.write#3=errno:28'],
  ['the directory of staged items cannot be written', 'enqueue.link#2=errno:13;enqueue.link#3=errno:13'],
  ['a staged item cannot be made durable', 'enqueue.fsyncdir#1=errno:5;enqueue.fsync#1=errno:5'],
  ['the queue refuses the rename', 'receive.rename#2=errno:13;receive.rename#5=errno:28'],
  [
    'a signal interrupts the rename after its effect',
    'receive.rename#2=errno-after:4;receive.rename#9=errno:4',
  ],
  ['a server loses the answer of a rename', 'receive.rename#2=errno-after:2'],
])('while %s, nothing is lost and nothing comes twice', async (_name, faults) => {
  const place = await site('lock')
  const stream = new SocketStream(place.root)
  stream.publish(...messages(40))
  const child = new Child('receiver.mjs', { root: place.root, socket: stream.path }, { faults })
  await until('all are acknowledged', () => stream.isDone)
  child.kill('SIGTERM')
  await child.ended
  expect(stagedIn(place.received)).toEqual([])
  expect(await arrivedIn(place)).toBe(40)
  await stream.close()
})

function messages(count: number, from = 0): SentMessage[] {
  return Array.from({ length: count }, (_, at) => ({
    id: `5:${from + at}`,
    args: [`${from + at}`],
    body: 'body',
  }))
}

/** Kills receivers at random moments while workers take the items. Returns how often each message was run. */
async function chaos(
  claims: Claims,
  job: object,
  finish: 'done' | 'discard',
  count: number,
  setsClock = false,
): Promise<{ runs: ReadonlyMap<string, number>; kills: number }> {
  const { root, queue } = await site(claims)
  const clock = new SetClock(root)
  const setClock = (): void => clock.set(Math.floor(Math.random() * 3) - 1)
  const stream = new SocketStream(root, 0.1)
  const runs = new Map<string, number>()
  const worker = await queue.work(
    (item) => {
      const message = item.args[0] ?? ''
      runs.set(message, (runs.get(message) ?? 0) + 1)
    },
    { concurrency: 4, keepDone: finish === 'done' },
  )
  let kills = 0
  const all = messages(count)
  while (!stream.isDone || all.length > 0 || kills < 8) {
    if (setsClock) setClock()
    const child = new Child(
      'receiver.mjs',
      { root, socket: stream.path, inFlight: 32, ...job },
      setsClock ? clock.options : {},
    )
    await child.says('ready')
    stream.publish(...all.splice(0, count / 8))
    // The longer it takes, the longer a receiver lives: on a busy machine it may get nowhere in 60 ms.
    const halfLife = 30 + 2 * kills
    await later(Math.random() * halfLife)
    if (setsClock) setClock()
    await later(Math.random() * halfLife)
    child.kill()
    await child.ended
    kills++
  }
  await worker.idle()
  await queue.close()
  await stream.close()
  return { runs, kills }
}

function twice(runs: ReadonlyMap<string, number>): string[] {
  return [...runs].filter(([, count]) => count !== 1).map(([id]) => id)
}

test.each([
  ['lock', 'done'],
  ['lock', 'discard'],
  ['rename', 'discard'],
] as const)(
  'receivers killed all the time: each message runs once (claims: %s, %s)',
  async (claims, finish) => {
    const { runs, kills } = await chaos(claims, {}, finish, 500)
    expect(kills).toBeGreaterThanOrEqual(8)
    expect(runs.size).toBe(500)
    expect(twice(runs)).toEqual([])
  },
  120_000,
)

test('the same with a clock of the day that is set by an hour, ahead and back, all the time', async () => {
  const { runs } = await chaos('lock', {}, 'discard', 500, true)
  expect(runs.size).toBe(500)
  expect(twice(runs)).toEqual([])
}, 120_000)

test('the same with a receiver without a ledger: messages run twice, so this test can fail', async () => {
  const { runs } = await chaos('lock', { forgetful: true }, 'discard', 500)
  expect(twice(runs).length).toBeGreaterThan(0)
}, 120_000)
