// What is in doubt after each end of a forwarder: as text, as numbers, and with real files.
import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'

import {
  MARGIN_MS,
  type Moment,
  ageOf,
  earlier,
  isForgotten,
  momentNow,
  momentText,
  parseMoment,
} from '../../src/forward/doubt.js'
import { type Doubtful, Doubts } from '../../src/forward/doubts.js'
import { itemKey } from '../../src/name/item-name.js'
import type { Queue } from '../../src/queue.js'
import { names, useTestBed } from '../support/queue.js'

const MINUTE = 60_000
const moment = (at: number, up = 0, boot: string | undefined = 'a'): Moment => ({ at, up, boot })

describe('A moment', () => {
  test('is the same after it was written down', () => {
    const now = momentNow()
    expect(parseMoment(momentText(now), now.boot)).toEqual(now)
  })

  test.each(['', 'yesterday +1', '2026-01-01T00:00:00.000Z', 'x +y'])(
    'of %j has an unknown age, which is old',
    (text) => {
      expect(ageOf(parseMoment(text, 'a'), moment(Date.now(), 5))).toBe(Infinity)
    },
  )

  test('is as old as the later one of its two clocks says', () => {
    expect(ageOf(moment(1000, 1), moment(3000, 3))).toBe(2000)
    // The clock of the day was set back by an hour, and forward by one.
    expect(ageOf(moment(60 * MINUTE, 1), moment(0, 61))).toBe(MINUTE)
    expect(ageOf(moment(0, 1), moment(60 * MINUTE, 61))).toBe(60 * MINUTE)
  })

  test('of another start of the machine has the clock of the day only, and is old if that was set back', () => {
    expect(ageOf(moment(1000, 500, 'a'), moment(3000, 1, 'b'))).toBe(2000)
    expect(ageOf(moment(3000, 500, 'a'), moment(1000, 1, 'b'))).toBe(Infinity)
    const unknown = { at: 3000, up: 500, boot: undefined }
    expect(ageOf(unknown, { ...unknown, at: 1000, up: 600 })).toBe(Infinity)
  })

  test('is forgotten a minute before the target forgets', () => {
    const hour = 60 * MINUTE
    expect(isForgotten(moment(0), moment(hour - MARGIN_MS - 1, 3000), hour)).toBe(false)
    expect(isForgotten(moment(0), moment(hour - MARGIN_MS, 3000), hour)).toBe(true)
    expect(isForgotten(moment(0), moment(0), 0)).toBe(true)
    expect(isForgotten(moment(1, Number.NaN), moment(0), Infinity)).toBe(false)
  })

  test('that is earlier wins, and an unknown one before all', () => {
    const now = moment(9000, 9)
    expect(earlier(undefined, moment(5000, 5), now)).toEqual(moment(5000, 5))
    expect(earlier(moment(4000, 4), moment(5000, 5), now)).toEqual(moment(4000, 4))
    expect(earlier(moment(5000, 5), moment(4000, 4), now)).toEqual(moment(4000, 4))
    expect(earlier(moment(4000, 4), parseMoment('', 'a'), now).at).toBeNaN()
  })
})

describe('The files of forwarders', () => {
  const bed = useTestBed({ quick: true })

  /** Where a forwarder dies with an item, or what ends its work on the item. */
  const POINTS = ['looked', 'written', 'unsent', 'refused', 'put', 'stored', 'moved', 'done'] as const
  const ENDS = ['killed', 'meta deleted', 'machine restarted', 'closed'] as const
  type Point = (typeof POINTS)[number]

  const step = fc.record({
    works: fc.array(fc.record({ item: fc.nat(3), point: fc.constantFrom(...POINTS) }), { maxLength: 6 }),
    end: fc.constantFrom(...ENDS),
  })

  test('never take an item that may have been put for one that was not', async () => {
    let count = 0
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 4 }), async (steps) => {
        const world = await World.make(await bed.install({ durability: 'none' }, `q${++count}`))
        for (const { works, end } of steps) {
          await world.start()
          for (const { item, point } of works) await world.work(item, point)
          await world.end(end)
        }
        await world.start()
        await world.checkAll()
        await world.end('closed')
      }),
      { numRuns: 60 },
    )
  })

  /** Some items, and since when each may be at the target. */
  class World {
    readonly #queue: Queue
    readonly #items: string[]
    readonly #putAt = new Map<string, number>()
    readonly #written = new Set<string>()
    #doubts: Doubts | undefined
    #deaths = 0
    readonly #inHand = new Map<string, Doubtful>()

    static async make(queue: Queue): Promise<World> {
      await queue.enqueueMany(['a', 'b', 'c', 'd'].map((data) => ({ data })))
      return new this(queue)
    }

    private constructor(queue: Queue) {
      this.#queue = queue
      this.#items = names(queue, 'queue')
    }

    async start(): Promise<void> {
      const { directory, settings } = this.#queue.worked.context
      const fail = (error: unknown): never => {
        throw error
      }
      this.#doubts = new Doubts(directory, settings, 'test', 2, fail)
      await this.#doubts.open()
      await this.#doubts.clear()
    }

    async work(index: number, point: Point): Promise<void> {
      const doubts = this.#doubts as Doubts
      const name = this.#items[index] as string
      // This forwarder has it in hand, or it has left queue/.
      if (this.#inHand.has(name) || !fs.existsSync(path.join(this.#queue.paths.queue, name))) return
      const item = await this.look(name)
      if (point === 'looked') return
      const before = item.since
      await doubts.write([item])
      this.#written.add(name)
      if (point === 'written') {
        this.#inHand.set(name, item)
        return
      }
      if (point === 'unsent') {
        item.since = before
        doubts.released(item)
        return
      }
      if (point === 'refused') {
        this.#move(name, 'fail')
        doubts.finished(item)
        return
      }
      if (!this.#putAt.has(name)) this.#putAt.set(name, Date.now())
      if (point === 'put') doubts.released(item)
      else this.#inHand.set(name, item)
      if (point === 'moved' || point === 'done') this.#move(name, 'done')
      if (point === 'done') doubts.finished(item)
    }

    async checkAll(): Promise<void> {
      for (const name of this.#items)
        if (fs.existsSync(path.join(this.#queue.paths.queue, name))) await this.look(name)
    }

    async look(name: string): Promise<Doubtful> {
      const item: Doubtful = {
        id: name,
        key: itemKey(name, this.#queue.settings.encode),
        since: undefined,
        line: undefined,
        isOfOthers: false,
      }
      await (this.#doubts as Doubts).look([item])
      const putAt = this.#putAt.get(name)
      if (putAt !== undefined) expect(item.since?.at).toBeLessThanOrEqual(putAt)
      if (!this.#written.has(name)) expect(item.since).toBeUndefined()
      return item
    }

    async end(how: (typeof ENDS)[number]): Promise<void> {
      const directory = path.join(this.#queue.path, 'forwarded', 'test')
      if (how === 'closed') for (const item of this.#inHand.values()) this.#doubts?.released(item)
      this.#inHand.clear()
      if (how !== 'closed') {
        // The files as they are at this moment are those of a process that has gone.
        for (const name of fs.readdirSync(directory)) {
          if (!name.includes(`.${process.pid}.`)) continue
          const bytes = fs.readFileSync(path.join(directory, name), 'latin1')
          const text = how === 'machine restarted' ? bytes.replace(/"boot":"./, '"boot":"x') : bytes
          fs.writeFileSync(path.join(directory, `gone.${++this.#deaths}.1`), text, 'latin1')
        }
      }
      await this.#doubts?.close()
      if (how !== 'closed')
        for (const name of fs.readdirSync(directory))
          if (name.includes(`.${process.pid}.`)) fs.rmSync(path.join(directory, name))
      if (how === 'meta deleted')
        fs.rmSync(path.join(this.#queue.path, 'meta'), { recursive: true, force: true })
    }

    #move(name: string, to: 'done' | 'fail'): void {
      fs.renameSync(path.join(this.#queue.paths.queue, name), path.join(this.#queue.paths[to], name))
    }
  }
})
