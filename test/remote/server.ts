// A receiver in this process, behind a server of node:http.
import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import net, { type AddressInfo } from 'node:net'
import path from 'node:path'

import { Queue } from '../../src/index.js'
import { type PushReceiver, type PushReceiverOptions, receiver } from '../../src/remote.js'

import { makeDirectory } from '../support/child.js'

export const I = '_20120710213904_0_13044_mss_0_args_to'

export interface Served {
  readonly root: string
  readonly queue: Queue
  readonly url: string
  readonly port: number
  readonly handler: PushReceiver
  readonly errors: readonly string[]
  /** The result of a call, or its fault. */
  readonly call: (method: string, ...params: readonly unknown[]) => Promise<Said>
  readonly close: () => Promise<void>
}

export interface Said {
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string } | null
}

/** A queue `q`, and a receiver that fills it. */
export async function serve(
  options: Partial<PushReceiverOptions> = {},
  root = makeDirectory({ quick: true }),
): Promise<Served> {
  const queue = fs.existsSync(path.join(root, 'q'))
    ? new Queue('q', { root })
    : await Queue.install('q', { root })
  const errors: string[] = []
  const handler = receiver({ queues: ['q'], root, onError: (text) => errors.push(text), ...options })
  const server = http.createServer({ connectionsCheckingInterval: 100 }, handler)
  handler.protect(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = `http://127.0.0.1:${port}`
  return {
    ...{ root, queue, url, port, handler, errors },
    call: async (method, ...params) => {
      const answer = await fetch(url, {
        method: 'POST',
        body: JSON.stringify({ jsonrpc: '2.0', id: '1', method, params }),
      })
      return (await answer.json()) as Said
    },
    close: async () => {
      server.close()
      server.closeIdleConnections()
      await handler.close()
      server.closeAllConnections()
      await queue.close()
    },
  }
}

/** Sends bytes to a port or a socket, and answers with what comes until the connection ends. */
export async function exchange(to: number | string, request: string | Buffer): Promise<string> {
  const socket = typeof to === 'number' ? net.connect(to, '127.0.0.1') : net.connect(to)
  socket.write(request)
  let text = ''
  socket.setEncoding('latin1').on('data', (more: string) => {
    text += more
    const [, length] = /content-length: (\d+)/i.exec(text) ?? []
    const at = text.indexOf('\r\n\r\n')
    if (length !== undefined && at >= 0 && text.length >= at + 4 + Number(length)) socket.end()
  })
  socket.on('error', () => undefined)
  await once(socket, 'close')
  return text
}

/** The names in a directory of a queue, and their contents. */
export function filesIn(queue: Queue, place: 'queue' | 'done' | 'fail' | 'tmp'): Record<string, string> {
  const directory = path.join(queue.path, place)
  return Object.fromEntries(
    fs.readdirSync(directory).map((name) => [name, fs.readFileSync(path.join(directory, name), 'latin1')]),
  )
}
