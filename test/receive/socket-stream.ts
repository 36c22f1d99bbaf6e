// A stream at the other end of a socket: it sends each message again to each new receiver until it is acknowledged, and some of them after that.
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'

export interface SentMessage {
  readonly id: string
  readonly args: readonly string[]
  readonly body: string
}

export class SocketStream {
  readonly path: string
  readonly acked = new Set<string>()
  /** How many deliveries there were. */
  deliveries = 0
  readonly #messages = new Map<string, SentMessage>()
  readonly #sent = new Map<string, number>()
  readonly #server: net.Server
  readonly #repeatsAcked: number
  #socket: net.Socket | undefined

  /** @param repeatsAcked - The share of the acknowledged messages that each new receiver gets again. */
  constructor(directory: string, repeatsAcked = 0) {
    this.path = path.join(directory, 'stream')
    this.#repeatsAcked = repeatsAcked
    fs.rmSync(this.path, { force: true })
    this.#server = net.createServer((socket) => this.#connected(socket)).listen(this.path)
  }

  publish(...messages: readonly SentMessage[]): void {
    for (const message of messages) {
      this.#messages.set(message.id, message)
      this.#send(message)
    }
  }

  get isDone(): boolean {
    return this.acked.size === this.#messages.size
  }

  async close(): Promise<void> {
    this.#socket?.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #connected(socket: net.Socket): void {
    this.#socket = socket
    socket.on('error', () => undefined)
    let rest = ''
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) this.#answered(JSON.parse(line) as Record<string, string>)
    })
    for (const message of this.#messages.values())
      if (!this.acked.has(message.id) || Math.random() < this.#repeatsAcked) this.#send(message)
  }

  #answered({ ack, back }: Record<string, string>): void {
    if (ack !== undefined) {
      this.acked.add(ack)
      return
    }
    const message = this.#messages.get(back ?? '')
    if (message !== undefined) this.#send(message)
  }

  #send(message: SentMessage): void {
    if (this.#socket === undefined) return
    const tries = this.#sent.get(message.id) ?? 0
    this.#sent.set(message.id, tries + 1)
    this.deliveries++
    this.#socket.write(`${JSON.stringify({ ...message, tries })}\n`)
  }
}
