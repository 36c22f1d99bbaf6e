/**
 * Sends items to a receiver: by the request of the first implementation, or as a stream to one of this package.
 *
 * @module
 */
import { Buffer, isUtf8 } from 'node:buffer'
import { randomInt } from 'node:crypto'

import { PushError } from '../index.js'
import { type Answer, Client } from './client.js'
import { Code } from './faults.js'
import { type Json, isObject, jsonText, parsedJson } from './json.js'
import { ABOUT, isRefusal } from './rpc.js'
import type { RemoteOptions } from './types.js'

const JSON_TYPE = 'application/json-rpc'
const BYTES_TYPE = 'application/octet-stream'
const ID_CHARACTERS = '0123456789abcdefghijklmnopqrstuvwxyz'
const ID_LENGTH = 8
/** Longer contents go as a stream where that is possible. */
const MOST_TEXT = 1024 * 1024
/** The most contents that are sent as text to a receiver of the first implementation. */
const MOST_WHOLE = 64 * 1024 * 1024
const MOST_SAID = 300
/** Methods that send no item. */
const QUESTIONS: readonly string[] = ['system.listMethods', ABOUT]
/** The statuses by which another server, or a receiver at another path, answers a POST. */
const ELSEWHERE = [301, 302, 303, 307, 308, 404, 405, 410, 501]

/** What is sent of an item. */
export interface SentItem {
  /** With tries 0, byte for byte. */
  readonly nameBytes: Uint8Array
  readonly size: number
  bytes(): Promise<Uint8Array>
  stream(): AsyncIterable<Uint8Array>
}

/** What a receiver can do. */
export interface About {
  /** Whether it takes streams. */
  readonly put: boolean
  /** Milliseconds for which it knows an item again. 0: one of the first implementation. */
  readonly keep: number
}

const FIRST: About = { put: false, keep: 0 }

export class Sender {
  readonly client: Client
  readonly #queue: string
  #about: About | undefined
  #asking: Promise<About> | undefined

  /** @param queue - The queue at the receiver. */
  constructor(url: string | URL, queue: string, options: RemoteOptions) {
    this.client = new Client(url, options)
    this.#queue = queue
  }

  /** What the receiver can do, as far as that is known. */
  get about(): About | undefined {
    return this.#about
  }

  /**
   * Sends an item, once. When this resolves, the receiver has it.
   *
   * @throws {@link PushError}; the error of its contents; the reason of the signal.
   */
  async send(item: SentItem, signal?: AbortSignal): Promise<void> {
    const name = Buffer.from(item.nameBytes)
    if (item.size <= MOST_TEXT && isUtf8(name)) {
      const bytes = await item.bytes()
      if (isUtf8(bytes)) return this.#sendText(name, bytes, signal)
      await this.#needPut('contents that are not UTF-8', signal)
      return this.#put(name, bytes, signal)
    }
    const { put } = await this.ask(signal)
    if (put) return this.#put(name, { size: item.size, chunks: item.stream() }, signal)
    if (!isUtf8(name) || item.size > MOST_WHOLE)
      throw this.#unable(isUtf8(name) ? 'contents of this size' : 'a name that is not UTF-8')
    const bytes = await item.bytes()
    if (!isUtf8(bytes)) throw this.#unable('contents that are not UTF-8')
    await this.#sendText(name, bytes, signal)
  }

  /** Pulls a trigger of the queue at the receiver. @throws As {@link send}. */
  async pullTrigger(trigger: string, ignoreListener: boolean, signal?: AbortSignal): Promise<void> {
    const params = { queue: this.#queue, ignore_listener: ignoreListener, trigger }
    await this.#call('trigger_pull', params, signal)
  }

  /** Asks the receiver once what it can do. @throws As {@link send}. */
  async ask(signal?: AbortSignal): Promise<About> {
    if (this.#about !== undefined) return this.#about
    this.#asking ??= this.#askNow().finally(() => (this.#asking = undefined))
    return unlessAborted(this.#asking, signal)
  }

  async #askNow(): Promise<About> {
    const methods = await this.#call('system.listMethods', [])
    if (!Array.isArray(methods) || !methods.includes(ABOUT)) return (this.#about = FIRST)
    const about = await this.#call(ABOUT, [])
    const { put, keep } = isObject(about) ? about : {}
    return (this.#about = { put: put === true, keep: typeof keep === 'number' ? keep : 0 })
  }

  async #needPut(what: string, signal: AbortSignal | undefined): Promise<void> {
    const { put } = await this.ask(signal)
    if (!put) throw this.#unable(what)
  }

  #unable(what: string): PushError {
    return new PushError(
      `${this.client.shown} is a receiver of the first implementation, to which ${what} cannot be sent`,
      'unable',
    )
  }

  async #sendText(name: Buffer, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    const id = name.toString()
    const result = await this.#call('enqueue', [id, this.#queue, Buffer.from(bytes).toString()], signal)
    if (result !== id) throw this.#error('the answer has the name of another item', 'other')
  }

  async #put(
    name: Buffer,
    body: Uint8Array | { readonly size: number; readonly chunks: AsyncIterable<Uint8Array> },
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const path = `/${encodeURIComponent(this.#queue)}/${percentEncoded(name)}`
    const answer = await this.client.request({ method: 'PUT', path, type: BYTES_TYPE, body }, signal)
    if (answer.status === 501) {
      // Another receiver has taken the place of the one that was asked.
      this.#about = undefined
      throw this.#error('the receiver takes no streams any more', 'failed')
    }
    if (this.#resultOf(answer) !== name.toString())
      throw this.#error('the answer has the name of another item', 'other')
  }

  async #call(method: string, params: Json, signal?: AbortSignal): Promise<unknown> {
    const id = Array.from({ length: ID_LENGTH }, () => ID_CHARACTERS[randomInt(ID_CHARACTERS.length)]).join(
      '',
    )
    const text = jsonText({ jsonrpc: '2.0', params, id, method })
    const answer = await this.client.request(
      { method: 'POST', type: JSON_TYPE, body: Buffer.from(text, 'latin1') },
      signal,
    )
    return this.#resultOf(answer, QUESTIONS.includes(method))
  }

  /**
   * @param isAsked - The request was a question, which sends no item.
   * @throws {@link PushError} unless the answer has a result.
   */
  #resultOf({ status, body }: Answer, isAsked = false): unknown {
    if (status === 401 || status === 403)
      throw this.#error(`the receiver refuses the credentials (${status})`, 'denied')
    if (ELSEWHERE.includes(status))
      throw this.#error(`there is no receiver at this URL (${status})`, 'missing')
    if (status === 413) throw this.#error('the contents are too large for the receiver', 'refused')
    let answer: unknown
    try {
      answer = parsedJson(body)
    } catch {
      if (status !== 200) throw this.#error(`the answer is ${status}`, 'failed')
      // A proxy may have spoiled the answer of a receiver that has taken an item.
      throw this.#error(
        'there is no receiver at this URL: the answer is no JSON',
        isAsked ? 'missing' : 'failed',
      )
    }
    const { error, result } = isObject(answer) ? answer : {}
    if (isObject(error)) {
      const { code, message } = error
      const said = typeof message === 'string' ? message.slice(0, MOST_SAID) : 'an error'
      if (code === Code.method) throw this.#error(`there is no receiver of items: ${said}`, 'missing')
      throw this.#error(said, isRefusal(code, message) ? 'refused' : 'failed')
    }
    if (status !== 200) throw this.#error(`the answer is ${status}`, 'failed')
    if ((error !== undefined && error !== null) || !isObject(answer) || !Object.hasOwn(answer, 'result'))
      throw this.#error('the answer has no result', 'failed')
    return result
  }

  #error(text: string, reason: PushError['reason']): PushError {
    return new PushError(`${this.client.shown}: ${text}`, reason)
  }
}

/** Waits for what others wait for, too, so an abort does not end it. @throws The reason of the signal. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  let onAbort = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason as Error)
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
  })
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

function percentEncoded(bytes: Buffer): string {
  return bytes
    .toString('latin1')
    .replace(
      /[^A-Za-z0-9._~-]/g,
      (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    )
}
