// A target of the test's own, behind a unix socket. It knows the ids of a window, and it outlives the forwarders.
import net from 'node:net'

/** An item on its way. */
export interface Sent {
  readonly id: string
  readonly text: string
}

export interface ServerOptions {
  readonly socket: string
  /** A target that takes every message for a new one. */
  readonly ignoresIds?: boolean
  /** Called at each step of each put, with the process that puts. */
  readonly at: (step: 'before' | 'stored' | 'answered', pid: number) => void
}

export class SinkServer {
  /** How often each text has arrived. */
  readonly arrivals = new Map<string, number>()
  duplicates = 0
  readonly #options: ServerOptions
  readonly #known = new Set<string>()
  readonly #server: net.Server

  constructor(options: ServerOptions) {
    this.#options = options
    this.#server = net.createServer((connection) => this.#serve(connection))
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(this.#options.socket, resolve))
  }

  close(): void {
    this.#server.close()
  }

  #serve(connection: net.Socket): void {
    let text = ''
    connection.on('error', () => undefined)
    connection.setEncoding('utf8')
    connection.on('data', (part: string) => {
      text += part
      if (!text.endsWith('\n')) return
      const { at } = this.#options
      const { pid, items } = JSON.parse(text) as { pid: number; items: Sent[] }
      at('before', pid)
      const outcomes = items.map((sent) => ({ outcome: this.#store(sent) }))
      at('stored', pid)
      connection.end(JSON.stringify(outcomes), () => at('answered', pid))
    })
  }

  #store({ id, text }: Sent): 'stored' | 'duplicate' {
    if (this.#known.has(id) && this.#options.ignoresIds !== true) {
      this.duplicates++
      return 'duplicate'
    }
    this.#known.add(id)
    this.arrivals.set(text, (this.arrivals.get(text) ?? 0) + 1)
    return 'stored'
  }
}
