// Random sequences of what two workers can do with one queue, their deaths included, against a model of it.
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { Queue } from '../../src/index.js'
import { itemKey } from '../../src/name/item-name.js'
import { Child, type Where, filesOf, isFree, makeDirectory } from '../support/child.js'
import { compareItemNames } from '../support/fifo-order.js'

const MAX_TRIES = 3
const WORKERS = 2

interface Known {
  id: string
  tries: number
  where: Where
  /** The worker that holds it. */
  holder: number | undefined
  readonly text: string
}

type Step =
  | { readonly kind: 'enqueue' }
  | { readonly kind: 'claim' | 'kill'; readonly worker: number }
  | { readonly kind: 'finish'; readonly worker: number; readonly pick: number; readonly action: Action }

type Action = 'done' | 'fail' | 'retry' | 'release' | 'discard'

const worker = fc.nat(WORKERS - 1)
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Step>({ kind: 'enqueue' }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('claim' as const), worker }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('finish' as const),
      worker,
      pick: fc.nat(5),
      action: fc.constantFrom<Action>('done', 'fail', 'retry', 'retry', 'release', 'discard'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('kill' as const), worker }) },
)

class Run {
  readonly #root = path.join(makeDirectory({ quick: true }), 'root')
  readonly #known: Known[] = []
  readonly #children: Child[] = []
  #queue: Queue | undefined
  #serial = 0

  async begin(): Promise<void> {
    fs.mkdirSync(this.#root)
    this.#queue = await Queue.install('q', { root: this.#root, maxTries: MAX_TRIES, durability: 'none' })
    for (let index = 0; index < WORKERS; index++) this.#start(index)
  }

  async take(one: Step): Promise<void> {
    switch (one.kind) {
      case 'enqueue':
        return this.#enqueue()
      case 'claim':
        return this.#claim(one.worker)
      case 'kill':
        return this.#kill(one.worker)
      default:
        return this.#finish(one.worker, one.pick, one.action)
    }
  }

  /** Checks that the files are those of the model, and that the locked ones are those that it has as held. */
  check(): void {
    const files = filesOf(this.queue.path).map(({ where, name, content, path: file }) => ({
      where,
      name,
      text: content.toString(),
      free: isFree(file),
    }))
    const expected = this.#known.map(({ where, id, text, holder }) => ({
      where,
      name: id,
      text,
      free: holder === undefined,
    }))
    const byName = (left: { name: string }, right: { name: string }): number =>
      left.name < right.name ? -1 : 1
    expect(files.toSorted(byName)).toEqual(expected.toSorted(byName))
  }

  async end(): Promise<void> {
    for (const child of this.#children) child.kill()
    await Promise.all(this.#children.map(({ ended }) => ended))
    const waiting = this.#known.filter(({ where }) => where === 'queue').map(({ id }) => id)
    const ran: string[] = []
    for await (const item of this.queue.scan()) {
      ran.push(item.id)
      await item.done()
    }
    expect(ran).toEqual(waiting.toSorted(compareItemNames))
    await this.queue.close()
  }

  get queue(): Queue {
    if (this.#queue === undefined) throw new Error('not begun')
    return this.#queue
  }

  #start(index: number): void {
    this.#children[index] = new Child('commanded-worker.mjs', { root: this.#root, maxTries: MAX_TRIES })
  }

  async #ask(index: number, question: object): Promise<Record<string, unknown>> {
    const child = this.#children[index] as Child
    const from = child.lines.length
    child.tell(question)
    const { answer } = await child.says('answer', from)
    return answer as Record<string, unknown>
  }

  async #enqueue(): Promise<void> {
    const text = `text ${this.#serial++}`
    const id = await this.queue.enqueue(text, [this.#serial])
    this.#known.push({ id, tries: 0, where: 'queue', holder: undefined, text })
  }

  async #claim(index: number): Promise<void> {
    const [first] = this.#known
      .filter(({ where, holder }) => where === 'queue' && holder === undefined)
      .toSorted((left, right) => compareItemNames(left.id, right.id))
    const answer = await this.#ask(index, { command: 'claim' })
    if (first === undefined) {
      expect(answer).toEqual({})
      return
    }
    expect(answer).toEqual({ id: first.id, tries: first.tries, text: first.text })
    first.holder = index
  }

  async #finish(index: number, pick: number, action: Action): Promise<void> {
    const held = this.#known.filter(({ holder }) => holder === index)
    const item = held[pick % held.length]
    if (item === undefined) return
    const isLast = item.tries + 1 >= MAX_TRIES
    const { id } = item
    const answer = await this.#ask(index, { command: 'finish', id, action })
    expect(answer).not.toHaveProperty('error')
    item.holder = undefined
    if (action === 'retry' && !isLast) {
      item.tries++
      item.id = answer['id'] as string
      expect(answer['outcome']).toBe('waiting')
      expect(itemKey(item.id, '%')).toBe(itemKey(id, '%'))
      expect(item.id.split('_')[5]).toBe(String(item.tries))
      return
    }
    expect(answer['id']).toBe(id)
    if (action === 'retry') expect(answer['outcome']).toBe('failed')
    if (action === 'discard') this.#known.splice(this.#known.indexOf(item), 1)
    else if (action === 'done') item.where = 'done'
    else if (action !== 'release') item.where = 'fail'
  }

  async #kill(index: number): Promise<void> {
    const child = this.#children[index] as Child
    child.kill()
    await child.ended
    for (const item of this.#known) if (item.holder === index) item.holder = undefined
    this.#start(index)
  }
}

test('two workers and their deaths against a model', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 40 }), async (steps) => {
      const run = new Run()
      await run.begin()
      for (const one of steps) {
        await run.take(one)
        run.check()
      }
      await run.end()
    }),
    { numRuns: 25, endOnFailure: false, interruptAfterTimeLimit: 60_000 },
  )
}, 120_000)
