// A stream in memory: it repeats a message until it is acknowledged, and when a test asks for it, after that.
import type { Delivery, DeliverySource } from '../../src/receive/delivery.js'
import type { SourceScan, SourceScanOptions } from '../../src/work/source.js'

export interface Message {
  readonly id: string
  readonly args?: readonly string[]
  readonly argBytes?: readonly Uint8Array[]
  readonly body?: string
  /** Contents that are read as they come. */
  readonly chunks?: () => AsyncIterable<Uint8Array>
  readonly size?: number
}

export class StreamDelivery implements Delivery {
  readonly key: string
  readonly enqueuedAt = new Date()
  readonly #controller = new AbortController()
  readonly #stream: MemoryStream
  readonly message: Message
  readonly tries: number

  constructor(stream: MemoryStream, message: Message, tries: number) {
    this.#stream = stream
    this.message = message
    this.tries = tries
    this.key = message.id
  }

  get id(): string {
    return this.message.id
  }

  get args(): readonly string[] {
    return this.message.args ?? [this.id]
  }

  get argBytes(): readonly Uint8Array[] | undefined {
    return this.message.argBytes
  }

  get size(): number {
    return this.message.size ?? Buffer.byteLength(this.message.body ?? this.id)
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  abort(reason: unknown): void {
    this.#controller.abort(reason)
  }

  async bytes(): Promise<Uint8Array> {
    this.#stream.onRead(this)
    return Buffer.from(this.message.body ?? this.id)
  }

  stream(): AsyncIterable<Uint8Array> {
    if (this.message.chunks !== undefined) return this.message.chunks()
    return (async function* (bytes) {
      yield await bytes
    })(this.bytes())
  }

  async text(): Promise<string> {
    return Buffer.from(await this.bytes()).toString()
  }

  async json<T>(): Promise<T> {
    return JSON.parse(await this.text()) as T
  }

  async done(): Promise<void> {
    this.#stream.acked.push(this.id)
    this.#stream.settled()
  }

  async fail(): Promise<void> {
    this.#stream.dead.push(this.id)
    this.#stream.settled()
  }

  async retry(options: { delay?: number } = {}): Promise<'waiting'> {
    this.#stream.back(this, this.tries + 1, options.delay)
    return 'waiting'
  }

  release(options: { delay?: number } = {}): void {
    this.#stream.released++
    this.#stream.back(this, this.tries, options.delay)
  }
}

export class MemoryStream implements DeliverySource<StreamDelivery> {
  readonly name: string
  repeatsFor: number | undefined
  acked: string[] = []
  dead: string[] = []
  released = 0
  closed = 0
  scans = 0
  onRead: (delivery: StreamDelivery) => void = () => undefined
  #waiting: { message: Message; tries: number }[] = []
  #wake: () => void = () => undefined
  #settled: () => void = () => undefined

  constructor(name = 'stream') {
    this.name = name
  }

  get pending(): number {
    return this.#waiting.length
  }

  publish(...messages: readonly (Message | string)[]): void {
    for (const message of messages)
      this.#waiting.push({ message: typeof message === 'string' ? { id: message } : message, tries: 0 })
    this.#wake()
  }

  repeat(...ids: readonly string[]): void {
    for (const id of ids) this.#waiting.push({ message: { id }, tries: 1 })
    this.#wake()
  }

  /** Resolves when so many messages have been acknowledged or have failed. */
  async has(count: number): Promise<void> {
    while (this.acked.length + this.dead.length < count)
      await new Promise<void>((resolve) => (this.#settled = resolve))
  }

  settled(): void {
    this.#settled()
  }

  back({ message }: StreamDelivery, tries: number, delay = 0): void {
    setTimeout(() => {
      this.#waiting.push({ message, tries })
      this.#wake()
    }, delay)
  }

  async close(): Promise<void> {
    this.closed++
  }

  scan({ signal, onIdle }: SourceScanOptions): SourceScan<StreamDelivery> {
    this.scans++
    const take = (): StreamDelivery | undefined => {
      const next = signal.aborted ? undefined : this.#waiting.shift()
      return next && new StreamDelivery(this, next.message, next.tries)
    }
    let isLeft = false
    const next = async (): Promise<IteratorResult<StreamDelivery>> => {
      for (;;) {
        if (isLeft || signal.aborted) return { done: true, value: undefined }
        const value = take()
        if (value !== undefined) return { done: false, value }
        onIdle()
        await new Promise<void>((resolve) => {
          this.#wake = resolve
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      }
    }
    return {
      [Symbol.asyncIterator]: () => ({
        next,
        return: async () => {
          isLeft = true
          this.#wake()
          return { done: true, value: undefined }
        },
      }),
      tryNext: take,
    }
  }
}
