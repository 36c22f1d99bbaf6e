// Random sequences of what two handles and dead workers can do with the same few names in a queue whose claims are renames, against a
// model of where each text is: { dir, runs }. Says { runs } or { failed }.
import assert from 'node:assert/strict'
import fs from 'node:fs'
import path from 'node:path'

import fc from 'fast-check'

import { Queue } from '../../dist/index.js'
import { addon, job, say, until } from '../support/program.mjs'

const PLACES = ['queue', 'done', 'fail']
const HANDLES = 2
/** Few names, so that they collide: each is the next try of the one before. */
const NAMES = [0, 1, 2].map((tries) => `_20120710213904_0_13044_mss_${tries}_x`)
const ENDS = { done: 'done', fail: 'fail', retry: 'queue', release: 'queue', discard: undefined }

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('plant'),
      name: fc.nat(NAMES.length - 1),
      place: fc.constantFrom(...PLACES),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('claim'), handle: fc.nat(HANDLES - 1) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant('finish'),
      handle: fc.nat(HANDLES - 1),
      pick: fc.nat(9),
      action: fc.constantFrom(...Object.keys(ENDS)),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('close'), handle: fc.nat(HANDLES - 1) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('die'), pick: fc.nat(9) }) },
)

let serial = 0

class Run {
  root = fs.mkdtempSync(path.join(job.dir, 'run-'))
  /** Where each text is: a place, the number of a handle, or `dead`. */
  texts = new Map()
  /** The items in hand of each handle, by their texts. */
  held = Array.from({ length: HANDLES }, () => new Map())

  async begin() {
    const installed = await Queue.install('q', { root: this.root, claims: 'rename', durability: 'none' })
    this.path = installed.path
    await installed.close()
    this.handles = Array.from({ length: HANDLES }, () => this.open())
  }

  open() {
    return new Queue('q', { root: this.root, durability: 'none', maxTries: 0 })
  }

  /** Adds a text under a name, unless there is a file of that name. */
  plant({ name, place }) {
    const text = `text ${serial++}`
    try {
      fs.writeFileSync(path.join(this.path, place, NAMES[name]), text, { flag: 'wx' })
    } catch (error) {
      if (error.code === 'EEXIST') return
      throw error
    }
    this.texts.set(text, place)
  }

  async claim({ handle }) {
    const scan = this.handles[handle].scan({ prefetch: 1 })
    const { value: item } = await scan.next()
    // The scan has taken dead workers over.
    for (const [text, where] of this.texts) if (where === 'dead') this.texts.set(text, 'queue')
    const own = new Set([...this.held[handle].values()].map(({ claimedAs }) => claimedAs))
    if (item === undefined) {
      for (const name of fs.readdirSync(path.join(this.path, 'queue')))
        assert(own.has(name), `${name} was not claimed`)
      return
    }
    assert(!own.has(item.id), `${item.id} was claimed twice by one handle`)
    const text = await item.text()
    assert.equal(this.texts.get(text), 'queue')
    this.texts.set(text, handle)
    this.held[handle].set(text, { item, scan, claimedAs: item.id })
  }

  async finish({ handle, pick, action }) {
    const held = [...this.held[handle]]
    if (held.length === 0) return
    const [text, { item }] = held[pick % held.length]
    await item[action]()
    this.held[handle].delete(text)
    if (action === 'release') await this.isBack([text])
    if (ENDS[action] === undefined) this.texts.delete(text)
    else this.texts.set(text, ENDS[action])
  }

  async close({ handle }) {
    await this.handles[handle].close()
    for (const text of this.held[handle].keys()) this.texts.set(text, 'queue')
    this.held[handle].clear()
    this.handles[handle] = this.open()
  }

  /** A worker claims an item and dies. */
  die({ pick }) {
    const waiting = fs.readdirSync(path.join(this.path, 'queue'))
    if (waiting.length === 0) return
    const name = waiting[pick % waiting.length]
    const worker = path.join(this.path, 'claimed', `h-1-${String(serial++).padStart(16, '0')}`)
    fs.mkdirSync(worker)
    fs.writeFileSync(path.join(worker, '.lock'), '')
    this.texts.set(fs.readFileSync(path.join(this.path, 'queue', name), 'utf8'), 'dead')
    fs.renameSync(path.join(this.path, 'queue', name), path.join(worker, name))
  }

  async isBack(texts) {
    const there = () => {
      const files = this.files()
      return texts.every((text) => files.get(text)?.includes('queue'))
    }
    if (!there()) await until('it is back', there)
  }

  /** The places of each text. */
  files() {
    const found = new Map()
    const note = (directory, place) => {
      for (const name of namesIn(directory)) {
        const text = fs.readFileSync(path.join(directory, name), 'utf8')
        found.set(text, [...(found.get(text) ?? []), place])
      }
    }
    for (const place of PLACES) note(path.join(this.path, place), place)
    for (const worker of fs.readdirSync(path.join(this.path, 'claimed')))
      note(path.join(this.path, 'claimed', worker), 'claimed')
    return found
  }

  check() {
    const expected = new Map(
      [...this.texts].map(([text, where]) => [text, [PLACES.includes(where) ? where : 'claimed']]),
    )
    assert.deepEqual(this.files(), expected)
  }

  async end() {
    for (const handle of this.handles) await handle.close()
    assert.equal(addon.heldClaims(), 0)
    fs.rmSync(this.root, { recursive: true })
  }
}

function namesIn(directory) {
  return fs.readdirSync(directory).filter((name) => !['.lock', '.owned'].includes(name))
}

let runs = 0

try {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 10, maxLength: 60 }), async (steps) => {
      const run = new Run()
      await run.begin()
      for (const one of steps) {
        await run[one.kind](one)
        run.check()
      }
      await run.end()
      runs++
    }),
    { numRuns: job.runs, endOnFailure: false },
  )
  say({ runs })
} catch (error) {
  say({ failed: String(error) })
}
