/**
 * Adds items to a typed queue: the parsers check each item before it is added. The item keeps the input of the parsers, not their output,
 * because workers parse it again.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { inspect, types } from 'node:util'

import { enqueueMany } from './bulk.js'
import type { Enqueuer } from './enqueuer.js'
import {
  type EnqueueEntry,
  type EnqueueManyOptions,
  type EnqueueOptions,
  type EnqueueSyncOptions,
  NO_ARGUMENTS,
  checkOptionsOf,
} from './entry.js'
import { type Payload, jsonOf, readPayload } from './payload.js'
import { Source } from './source.js'
import { Cancellation } from '../cancellation.js'
import { PayloadError } from '../errors/classes.js'
import { type NameArgument, argumentText } from '../name/codec.js'
import { type Parsers, isThenable } from '../schema/parsers.js'
import type { InputOf } from '../schema/shape.js'

/** The payload that `enqueue` takes. With a `body` parser: `{ json: body }` only. */
export type PayloadOf<T> = T extends { readonly body: infer Body }
  ? { readonly json: InputOf<Body> }
  : Payload

/** The arguments that `enqueue` takes. */
export type ArgumentsOf<T> = T extends { readonly args: infer Args } ? InputOf<Args> : readonly NameArgument[]

/**
 * {@link ArgumentsOf}, as a parameter. It may be left out only if an item without arguments fits: TypeScript lets callers leave out a parameter
 * that takes `void`. A rest parameter would say the same, but then a queue of invoices would be no queue of any items.
 */
export type ArgumentsParameter<T> = T extends { readonly args: infer Args }
  ? [] extends InputOf<Args>
    ? InputOf<Args> | Omitted
    : InputOf<Args>
  : readonly NameArgument[] | Omitted

// Only `void` makes a parameter optional depending on a type.
// eslint-disable-next-line @typescript-eslint/no-invalid-void-type
type Omitted = void | undefined

/** One item of a bulk enqueue. With a `body` parser, it has `data: { json: body }`; with an `args` parser, the arguments that it needs. */
export type EntryOf<T> = EnqueueSyncOptions & DataOf<T> & EntryArgumentsOf<T>

type DataOf<T> = T extends { readonly body: unknown }
  ? { readonly data: PayloadOf<T> }
  : Pick<EnqueueEntry, 'data'>

type EntryArgumentsOf<T> = T extends { readonly args: infer Args }
  ? [] extends InputOf<Args>
    ? { readonly args?: InputOf<Args> | undefined }
    : { readonly args: InputOf<Args> }
  : Pick<EnqueueEntry, 'args'>

/** An item that has passed the parsers. */
interface Checked {
  readonly data: Payload
  readonly args: readonly NameArgument[]
}

const JSON_ALONE = 'expected { json: body } and nothing else, because the queue has a parser for the body'

/** Checks items, and adds them by an {@link Enqueuer}. */
export class TypedEnqueuer {
  readonly #enqueuer: Enqueuer
  readonly #parsers: Parsers

  constructor(enqueuer: Enqueuer, parsers: Parsers) {
    this.#enqueuer = enqueuer
    this.#parsers = parsers
  }

  enqueue(data: Payload, args = NO_ARGUMENTS, options: EnqueueOptions = {}): Promise<string> {
    let check: Checked | Promise<Checked>
    try {
      check = this.#check(data, args)
    } catch (error) {
      return rejected(error)
    }
    if (!isThenable(check)) return this.#enqueuer.enqueue(check.data, check.args, options)
    return this.#enqueueChecked(data, options, check)
  }

  async #enqueueChecked(data: Payload, options: EnqueueOptions, check: Promise<Checked>): Promise<string> {
    let checked: Checked
    const cancellation = beginCancellation(options, check)
    try {
      checked = await cancellation.wait(check)
    } catch (error) {
      await stopSource(data)
      throw error
    } finally {
      cancellation.end()
    }
    return this.#enqueuer.enqueue(checked.data, checked.args, options)
  }

  enqueueSync(data: Payload, args = NO_ARGUMENTS, options?: EnqueueSyncOptions): string {
    const check = this.#check(data, args)
    if (!isThenable(check)) return this.#enqueuer.enqueueSync(check.data, check.args, options)
    check.catch(() => undefined)
    void stopSource(data)
    throw new PayloadError('A parser of the queue is asynchronous, and enqueueSync cannot wait for it', {
      advice: 'Use enqueue',
    })
  }

  async enqueueMany(entries: readonly EnqueueEntry[], options: EnqueueManyOptions): Promise<string[]> {
    checkOptionsOf('enqueueMany', options)
    if (!Array.isArray(entries)) return enqueueMany(this.#enqueuer, entries, options)
    const checks = (entries as readonly EnqueueEntry[]).map((entry) => this.#checkEntry(entry))
    if (!checks.some(isThenable)) {
      return enqueueMany(this.#enqueuer, checks as readonly EnqueueEntry[], options)
    }
    let checked: readonly EnqueueEntry[]
    const cancellation = new Cancellation(options.signal)
    try {
      checked = await cancellation.wait(Promise.all(checks.map(async (check) => check)))
    } catch {
      // The signal was aborted. The call below adds nothing then: it stops the sources and rejects with the reason.
      checked = entries
    } finally {
      cancellation.end()
    }
    return enqueueMany(this.#enqueuer, checked, options)
  }

  /** An entry that is not valid becomes one that throws its error when it is read: so it fails alone. */
  #checkEntry(entry: EnqueueEntry): EnqueueEntry | Promise<EnqueueEntry> {
    if (typeof entry !== 'object' || (entry as object | null) === null) return entry
    try {
      const { data = null, args = NO_ARGUMENTS } = entry
      const check = this.#check(data, args)
      if (!isThenable(check)) return { ...entry, ...check }
      const kept = { ...entry }
      return check.then(
        (checked) => ({ ...kept, ...checked }),
        async (error: unknown) => {
          await stopSource(data)
          return failingEntry(error)
        },
      )
    } catch (error) {
      return failingEntry(error)
    }
  }

  /** @throws {@link PayloadError}, after it has stopped the source, if `data` is one. A promise rejects with it, and stops nothing. */
  #check(data: Payload, args: readonly NameArgument[]): Checked | Promise<Checked> {
    try {
      const ofArgs = this.#checkArgs(args)
      const [payload, ofBody] = this.#checkBody(data)
      if (!isThenable(ofArgs) && !isThenable(ofBody)) return { data: payload, args }
      // The caller may change them before the parsers have answered.
      const checked = { data: copyOf(payload), args: [...args] }
      return Promise.all([ofArgs, ofBody]).then(() => checked)
    } catch (error) {
      void stopSource(data)
      throw error
    }
  }

  /** The parser sees what a worker will see: texts. Values that are no arguments are left to the enqueuer, which refuses them. */
  #checkArgs(args: unknown): unknown {
    if (this.#parsers.args === undefined || !Array.isArray(args)) return undefined
    return this.#parsers.args.parse(args.map(argumentText))
  }

  /** The parser sees what a worker will see: a Date, for example, as a text. */
  #checkBody(data: Payload): readonly [Payload, unknown] {
    if (this.#parsers.body === undefined) return [data, undefined]
    if (!isJsonAlone(data)) {
      throw new PayloadError(
        `The payload is ${inspect(data, { depth: 0, maxStringLength: 80 })}, ${JSON_ALONE}`,
      )
    }
    const text = jsonOf(data.json)
    return [text, this.#parsers.body.parse(JSON.parse(text))]
  }
}

function isJsonAlone(data: Payload): data is { readonly json: unknown } {
  if (typeof data !== 'object' || data === null || !('json' in data)) return false
  return Object.keys(data).every((key) => key === 'json')
}

function beginCancellation(options: EnqueueOptions, check: Promise<unknown>): Cancellation {
  try {
    checkOptionsOf('enqueue', options)
  } catch (error) {
    check.catch(() => undefined)
    throw error
  }
  return new Cancellation(options.signal)
}

function copyOf(data: Payload): Payload {
  if (ArrayBuffer.isView(data))
    return Buffer.from(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  return types.isAnyArrayBuffer(data) ? Buffer.from(new Uint8Array(data)) : data
}

/** A failed enqueue releases its source. */
async function stopSource(data: Payload | undefined): Promise<void> {
  if (typeof data !== 'object' || data === null || ArrayBuffer.isView(data)) return
  try {
    const source = readPayload(data)
    if (!(source instanceof Source)) return
    // A stream with another reader is left alone.
    source.check()
    await source.stop()
  } catch {
    // The caller has an error that says more.
  }
}

function failingEntry(error: unknown): EnqueueEntry {
  const fails = (): never => {
    throw error
  }
  return Object.defineProperty({}, 'data', { get: fails, enumerable: true })
}

async function rejected(error: unknown): Promise<never> {
  throw error
}
