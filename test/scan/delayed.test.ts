/** Very many items that are not due yet, and loops that wait meanwhile. */
import fs from 'node:fs'
import path from 'node:path'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { Happened, Place, isFailure, native, newWatch } from '../../src/addon/native.js'
import type { WorkItem } from '../../src/item/work-item.js'
import type { Queue } from '../../src/queue.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { waitingLoop, watchLooks } from '../support/loop.js'
import { onLinux } from '../support/needs.js'
import { inProgram, names, pathOf, plant, takeOne, until, useTestBed } from '../support/queue.js'

const bed = useTestBed({ quick: true })
// More than the kernel keeps for a watch: fs.inotify.max_queued_events.
const MANY = 17_000
const HOUR = 3_600_000

afterEach(() => {
  jest.restoreAllMocks()
})

async function install(): Promise<Queue> {
  return bed.install({ durability: 'none' })
}

async function enqueueDelayed(queue: Queue, count: number, delay = HOUR): Promise<string[]> {
  return queue.enqueueMany(Array.from({ length: count }, () => ({ data: 'x', delay })))
}

/** Sets the times of a file as a person does by hand, so that it is due. */
function touch(queue: Queue, id: string): void {
  const now = Date.now() / 1000
  fs.utimesSync(pathOf(queue, 'queue', id), now - 1, now - 1)
}

describe('a walk', () => {
  onLinux('opens nothing that is delayed, so that no watch hears it', async () => {
    const queue = await install()
    await enqueueDelayed(queue, 300)
    const settings = [
      'queue',
      'tmp',
      'done',
      'fail',
      'down',
      'lock-fcntl',
      'claims-rename',
      'claimed',
      'down-rename',
    ]
    const handle = native.openQueueSync(queue.path, settings, true)
    if (isFailure(handle)) throw new Error('not opened')
    const listing = native.listSync(handle, Place.queue, 0)
    if (isFailure(listing)) throw new Error('not listed')
    const watch = newWatch()
    expect(native.armWatch(watch, queue.path, path.join(queue.path, 'queue'))).toBeUndefined()
    const [numbers] = native.claimSync(handle, listing, 1, 1000, 0, 0)
    expect([...numbers].slice(2, 4)).toEqual([0, 300])
    expect(native.cancelWatch(watch) & Happened.closed).toBe(0)
    native.closeWatch(watch)
    native.closeListing(listing)
    native.closeQueue(handle)
  })

  test('hands out what is due among what is not', async () => {
    const queue = await install()
    const due: string[] = []
    for (let block = 0; block < 5; block++) {
      await enqueueDelayed(queue, 100)
      due.push(...(await queue.enqueueMany(Array.from({ length: 100 }, () => ({ data: 'x' })))))
    }
    const ids: string[] = []
    for await (const item of queue.scan()) {
      ids.push(item.id)
      await item.done()
    }
    expect(ids).toEqual(due)
    expect(names(queue, 'queue')).toHaveLength(500)
  })
})

describe('a loop that waits', () => {
  onLinux(
    'beside more delayed items than the kernel keeps events walks over them no more than it must',
    async () => {
      const queue = await install()
      await enqueueDelayed(queue, MANY)
      const loop = await waitingLoop(queue)
      const { looks } = watchLooks()
      // Another loop walks over them all, too.
      const other = await waitingLoop(bed.open())
      const begun = looks()
      for (let count = 1; count <= 20; count++) {
        await queue.enqueue('x')
        await until('one of them has it', () => loop.ids.length + other.ids.length === count)
      }
      expect(looks()).toBe(begun)
      await loop.stop()
      await other.stop()
    },
  )

  onLinux('hands out all that come due at one instant without another walk', async () => {
    const queue = await install()
    // These make a look so dear that the loop makes none for some seconds.
    await enqueueDelayed(queue, MANY)
    // On a busy machine, they may be due before the loop waits: then the next ones have more time.
    for (let lead = 1000, isEarly = false; !isEarly; lead *= 3) {
      jest.restoreAllMocks()
      const due = Date.now() + lead
      const ids = await enqueueDelayed(queue, 3000, due - Date.now())
      const loop = await waitingLoop(queue)
      const { looks } = watchLooks()
      isEarly = Date.now() < due
      await loop.has(3000)
      expect(loop.ids).toEqual(ids)
      if (isEarly) expect(looks()).toBe(0)
      await loop.stop()
    }
  })

  onLinux('is notified of an item whose times are set by hand', async () => {
    const queue = await install()
    const [id = ''] = await enqueueDelayed(queue, 1)
    const loop = await waitingLoop(queue)
    const { looks } = watchLooks()
    touch(queue, id)
    await loop.has(1)
    expect(looks()).toBe(0)
    await loop.stop()
  })

  onLinux(
    'answers lost events when it is time to look, and until then works off the names of the events',
    async () => {
      const queue = await install()
      const ids = await enqueueDelayed(queue, MANY)
      const loop = await waitingLoop(queue)
      const walked = performance.now()
      const { looks } = watchLooks()
      // Each is an event, and this thread reads none of them meanwhile.
      for (const id of ids) touch(queue, id)
      await loop.has(MANY)
      expect([...loop.ids].toSorted()).toEqual(ids.toSorted())
      // The items of events took no walk, and the walk that found the rest was not at once.
      expect(looks()).toBeGreaterThan(0)
      expect(performance.now() - walked).toBeGreaterThan(500)
      await loop.stop()
    },
  )

  onLinux('starts all that others give back, though it keeps only some of it open', async () => {
    const queue = await install()
    await enqueueDelayed(queue, MANY)
    await queue.enqueueMany(Array.from({ length: 200 }, () => ({ data: 'x' })))
    const held: WorkItem[] = []
    for await (const item of bed.open().scan({ prefetch: 1 })) held.push(item)
    const loop = await waitingLoop(queue)
    const { looks } = watchLooks()
    for (const item of held) item.release()
    await loop.has(200)
    expect(looks()).toBe(0)
    await loop.stop()
  })

  onLinux('starts another file that has the name of one that it keeps open', async () => {
    const queue = await install()
    await enqueueDelayed(queue, MANY)
    const id = await queue.enqueue('first')
    const held = await takeOne(bed.open())
    const loop = await waitingLoop(queue)
    const { looks } = watchLooks()
    await held.done()
    plant(queue, id, 'second')
    await loop.has(1)
    expect(loop.ids).toEqual([id])
    expect(looks()).toBe(0)
    await loop.stop()
  })

  onLinux('does not look at once when the trigger is pulled, but when it is time to', async () => {
    const queue = await install()
    await queue.trigger()
    await enqueueDelayed(queue, 10)
    const loop = await waitingLoop(queue)
    const { looks } = watchLooks()
    for (let count = 1; count <= 5; count++) {
      await queue.enqueue('x', [], { trigger: true })
      await loop.has(count)
    }
    expect(looks()).toBe(0)
    await until('it has looked', () => looks() > 0)
    await loop.stop()
  })
})

describe('no caller waits for a long walk', () => {
  // The process is killed where one goes on.
  const walks = [
    ['listing', 'list.getdents#2=pause:GATE;list.getdents#3=kill'],
    ['claiming', 'claim.look#40=pause:GATE;claim.look#41=kill'],
  ] as const
  const ends = [
    ['an abort', 'stop.abort(); const error = await ended; return error === stop.signal.reason'],
    [
      'close()',
      'await queue.close(); const error = await ended; return error.code === "ERR_FSQ_QUEUE_CLOSED"',
    ],
    ['leaving the loop', 'await loop.return(); const { done } = await ended; return done'],
    ['process.exit()', 'fs.writeSync(1, JSON.stringify({ answer: true })); process.exit(0)'],
  ] as const
  const cases = walks.flatMap(([what, faults]) => ends.map(([how, end]) => [how, what, faults, end] as const))

  test.each(cases)('%s ends the %s', async (_how, _what, faults, end) => {
    const queue = await install()
    await enqueueDelayed(queue, 3000)
    const gate = bed.path('gate')
    const answer = inProgram(
      `const queue = new Queue('q', { root: given.root })
      const stop = new AbortController()
      const loop = queue.scanForever({ signal: stop.signal })
      const ended = loop.next().catch((error) => error)
      await until(() => fs.existsSync(given.gate))
      // A caller that waits for the walk waits until this has happened.
      spawnSync('sh', ['-c', '(sleep 0.2; rm "$0") >&- 2>&- &', given.gate])
      ${end}`,
      {
        given: { root: bed.root, gate },
        flags: ['--require', FAULT_BUILD],
        env: { FSQ_FAULTS: faults.replace('GATE', gate) },
      },
    )
    expect(await answer).toBe(true)
    expect(names(queue, 'queue')).toHaveLength(3000)
  })
})
