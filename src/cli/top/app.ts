/**
 * `fsq top` on a terminal: looks, draws, and does what the keys say.
 *
 *     list ── enter, ? ──> text ── esc ──> list
 *      │
 *      └── r, d ──> a question ── y ──> the change is made ──> list
 *                        └── any other key ──> list
 *
 * @module
 */
import { isDownSync } from '../../directory/claim-kind.js'
import { makeDown, removeDown } from '../../directory/down.js'
import { placePath } from '../../directory/layout.js'
import { Place } from '../../addon/native.js'
import { entryNamed } from '../../inspect/entries.js'
import { BackMoves } from '../../maintain/back-moves.js'
import type { Settings } from '../../settings.js'
import { explain } from '../advice.js'
import { tableName } from '../queues.js'
import { contentsOf, factsOf, titleOf } from './details.js'
import { plural } from './figures.js'
import type { Model } from './model.js'
import { type Row, type Rows, type Subject, rowsOf } from './rows.js'
import { type Key, Screen, painter } from './screen.js'
import { type Scene, frame, wrapped } from './view.js'

/** A first look that takes longer is announced. */
const PATIENCE_MS = 300
const PAGE = 10

const HELP = [
  '',
  'up, down, k, j   choose a row; scroll',
  'page up, down    ten rows at a time',
  'enter            open the row: items of a queue, work of a worker, attempts',
  'r                retry the failed items of the chosen reason, as fsq retry does',
  'd                take the chosen queue down, or up again',
  'esc, left        back',
  'q, Ctrl-C        quit',
  '',
  'WORKING    items that workers hold (known on Linux only)',
  'DONE/MIN   items that came to done/ in each of the last minutes; the number is',
  '           that of the last one',
  'STATE      running: a worker has been seen; up: none has been; down: scans are',
  '           forbidden',
  '(other)    a process that holds the lock of an item, without a file in',
  '           meta/workers/',
]

interface Text {
  readonly title: string
  /** The row that is open; not set in the help. */
  readonly key: string | undefined
  facts: readonly string[]
  contents: readonly string[]
  from: number
}

interface Question {
  readonly text: string
  /** A message until it is done. */
  readonly doing: string
  /** @returns A message that says what has been done. */
  readonly act: () => Promise<string>
}

/** Ends a look that is not needed any more. */
class Quit extends Error {}

/** Shows the queues until the user quits. */
export class App {
  readonly #model: Model
  readonly #settings: Settings
  readonly #intervalMs: number
  readonly #paint = painter()
  readonly #screen: Screen
  #rows: Rows
  #chosen: string | undefined
  /** Where the chosen row was: if it goes, its neighbour takes its place. */
  #chosenAt = 0
  #text: Text | undefined
  #question: Question | undefined
  #message: string | undefined
  #isOver = false
  #error: Error | undefined
  #wake: () => void = () => undefined

  constructor(model: Model, settings: Settings, intervalMs: number) {
    this.#model = model
    this.#settings = settings
    this.#intervalMs = intervalMs
    this.#rows = rowsOf({ root: settings.root, at: Date.now(), queues: [] }, settings)
    this.#screen = new Screen({
      onKey: (key) => {
        this.#guarded(() => {
          this.#press(key)
          this.#draw()
        })
      },
      onRedraw: () => {
        this.#guarded(() => {
          this.#draw()
        })
      },
    })
  }

  /** @throws {@link OutputError}, or an error of {@link Model.look}. */
  async run(): Promise<void> {
    try {
      this.#screen.open()
      const timer = setTimeout(() => {
        this.#say('looking at the queues …')
      }, PATIENCE_MS)
      for (let isFirst = true; !this.#isOver; isFirst = false) {
        const snapshot = await this.#model.look(() => {
          if (this.#isOver) throw new Quit()
        })
        if (isFirst) {
          clearTimeout(timer)
          this.#message = undefined
        }
        this.#rows = rowsOf(snapshot, this.#settings)
        this.#refreshText()
        this.#guarded(() => {
          this.#draw()
        })
        await this.#pause()
      }
    } catch (error) {
      if (!(error instanceof Quit)) throw error
    } finally {
      this.#screen.close()
    }
    if (this.#error !== undefined) throw this.#error
  }

  async #pause(): Promise<void> {
    if (this.#isOver) return
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, this.#intervalMs)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Runs what a key or a timer has caused. An error ends {@link run}. */
  #guarded(change: () => void): void {
    try {
      change()
    } catch (error) {
      this.#error = error instanceof Error ? error : new Error(String(error))
      this.#quit()
    }
  }

  #quit(): void {
    this.#isOver = true
    this.#wake()
  }

  #draw(): void {
    if (this.#isOver) return
    const all = this.#all()
    const at = all.findIndex(({ key }) => key === this.#chosen)
    this.#chosenAt = Math.max(0, at >= 0 ? at : Math.min(this.#chosenAt, all.length - 1))
    this.#chosen = all[this.#chosenAt]?.key
    this.#screen.draw(frame(this.#scene(), this.#screen.size, this.#paint))
  }

  #scene(): Scene {
    const common = {
      rows: this.#rows,
      chosen: this.#chosen,
      foot: this.#question === undefined ? this.#message : `${this.#question.text} [y/N]`,
    }
    if (this.#text === undefined) return { ...common, mode: 'list' }
    const { title, facts, contents, from } = this.#text
    return { ...common, mode: 'text', title, lines: [...facts, ...contents], from }
  }

  #all(): readonly Row[] {
    return [...this.#rows.queues, ...this.#rows.inHand, ...this.#rows.failures]
  }

  #press({ name, ctrl }: Key): void {
    if (ctrl ? name === 'c' : name === 'q') {
      this.#quit()
      return
    }
    if (this.#question !== undefined) {
      this.#answer(name === 'y')
      return
    }
    this.#message = undefined
    if (name === 'up' || name === 'k') this.#move(-1)
    else if (name === 'down' || name === 'j') this.#move(1)
    else if (name === 'pageup') this.#move(-PAGE)
    else if (name === 'pagedown') this.#move(PAGE)
    else if (this.#text !== undefined) {
      if (['escape', 'left', 'backspace', 'enter', '?'].includes(name)) this.#text = undefined
    } else if (name === '?')
      this.#text = { title: 'Help', key: undefined, facts: [], contents: HELP, from: 0 }
    else {
      const row = this.#all().find(({ key }) => key === this.#chosen)
      if (row !== undefined) this.#use(name, row)
    }
  }

  #use(name: string, row: Row): void {
    if (name === 'enter' || name === 'right') this.#open(row)
    else if (name === 'r') this.#askRetry(row.subject)
    else if (name === 'd') this.#askDown(row.subject)
  }

  #move(by: number): void {
    if (this.#text !== undefined) {
      const { facts, contents, from } = this.#text
      const { width } = this.#screen.size
      const last = wrapped([...facts, ...contents], width).length - 1
      this.#text.from = Math.max(0, Math.min(from + by, last))
      return
    }
    const all = this.#all()
    const at = all.findIndex(({ key }) => key === this.#chosen)
    this.#chosen = all[Math.max(0, Math.min(at + by, all.length - 1))]?.key
  }

  #open({ key, subject }: Row): void {
    const text: Text = { title: titleOf(subject), key, facts: [], contents: [], from: 0 }
    this.#text = text
    this.#refreshText()
    this.#inBackground(async () => {
      text.contents = await contentsOf(subject, this.#settings)
      return undefined
    })
  }

  /** A row that has gone keeps its last facts. */
  #refreshText(): void {
    const row = this.#all().find(({ key }) => key === this.#text?.key)
    if (this.#text !== undefined && row !== undefined) this.#text.facts = factsOf(row.subject, this.#rows.at)
  }

  #askRetry(subject: Subject): void {
    if (subject.kind !== 'failures') {
      this.#message = 'r retries failed items: choose a reason first'
      return
    }
    const { queue, group } = subject
    const { layout } = queue
    const name = tableName(layout)
    const items = plural(group.items.length, 'item')
    this.#question = {
      text: `retry ${items} of ${name}?`,
      doing: `retrying ${items} of ${name} …`,
      act: async () => {
        let moved = 0
        const moves = new BackMoves(layout, this.#settings, false)
        try {
          for (const { raw } of group.items) {
            if (this.#isOver) break
            const entry = entryNamed(placePath(layout, Place.fail), raw)
            if (entry !== undefined && (await moves.move(entry)) !== undefined) moved++
          }
        } finally {
          await moves.close()
        }
        return `${plural(moved, 'item')} of ${name} wait${moved === 1 ? 's' : ''} again`
      },
    }
  }

  #askDown(subject: Subject): void {
    if (subject.kind !== 'queue') {
      this.#message = 'd takes a queue down, or up: choose a queue first'
      return
    }
    const { layout, state } = subject.queue
    const name = tableName(layout)
    if (layout.parent !== undefined && isDownSync(layout.parent)) {
      this.#message = `${layout.parent.name} is down, and so are its hosts: choose that queue`
      return
    }
    const isDown = state === 'down'
    this.#question = {
      doing: `taking ${name} ${isDown ? 'up' : 'down'} …`,
      text: isDown ? `allow scans of ${name} again?` : `forbid scans of ${name}?`,
      act: async () => {
        if (isDown) await removeDown(layout)
        else await makeDown(layout, this.#settings)
        return `${name} is ${isDown ? 'up' : 'down'}`
      },
    }
  }

  #answer(isYes: boolean): void {
    const question = this.#question
    this.#question = undefined
    this.#message = isYes ? question?.doing : undefined
    if (isYes && question !== undefined) this.#inBackground(question.act)
  }

  /** Does what a key asks for. Its error becomes a message. */
  #inBackground(act: () => Promise<string | undefined>): void {
    void act()
      .catch((error: unknown) => explain(error))
      .then((message) => {
        if (message !== undefined) this.#message = message
        // The change shows at once.
        this.#wake()
        this.#guarded(() => {
          this.#draw()
        })
      })
  }

  #say(message: string): void {
    this.#message = message
    this.#guarded(() => {
      this.#draw()
    })
  }
}
