// A receiver whose source is a socket of the test: { root, socket, kill?, forgetful?, inFlight? }. The test sends lines
// { id, args, body, tries }; the child answers { ack: id }, { back: id } and { dead: id }.
//
// kill: { call: 'write' | 'sync' | 'ack', line?, nth?, when: 'before' | 'after' } ends the process at the nth such call. `line`: the
// write has a line that begins so. forgetful: a receiver without a ledger, to show that the test sees what it is for.
import fs from 'node:fs'
import net from 'node:net'
import process from 'node:process'

import { job, say } from '../support/program.mjs'

const { kill } = job
let left = kill?.nth ?? 1

function at(call, when, text = '') {
  if (kill === undefined || kill.call !== call || kill.when !== when) return
  if (kill.line !== undefined && !text.split('\n').some((line) => line.startsWith(kill.line))) return
  if (--left === 0) process.kill(process.pid, 'SIGKILL')
}

const { write, fdatasync } = fs
fs.write = (descriptor, bytes, ...rest) => {
  const text = Buffer.isBuffer(bytes) ? bytes.toString('latin1') : ''
  at('write', 'before', text)
  const callback = rest.pop()
  write(descriptor, bytes, ...rest, (...results) => {
    at('write', 'after', text)
    callback(...results)
  })
}
fs.fdatasync = (descriptor, callback) => {
  at('sync', 'before')
  fdatasync(descriptor, (...results) => {
    at('sync', 'after')
    callback(...results)
  })
}

const { Queue, receive } = await import('../../dist/index.js')

class Delivery {
  #controller = new AbortController()

  constructor(stream, { id, args, body, tries }) {
    Object.assign(this, { stream_: stream, id, key: id, args, body, tries, enqueuedAt: new Date() })
    this.size = Buffer.byteLength(body)
  }

  get signal() {
    return this.#controller.signal
  }

  async bytes() {
    return Buffer.from(this.body)
  }

  async text() {
    return this.body
  }

  async json() {
    return JSON.parse(this.body)
  }

  async done() {
    at('ack', 'before')
    this.stream_.answer({ ack: this.id })
    at('ack', 'after')
  }

  async fail() {
    this.stream_.answer({ dead: this.id })
  }

  async retry() {
    this.stream_.answer({ back: this.id })
    return 'waiting'
  }

  async release() {
    this.stream_.answer({ back: this.id })
  }
}

class SocketStream {
  name = 'stream'
  #waiting = []
  #wake = () => undefined
  #socket

  async open() {
    this.#socket = net.connect(job.socket)
    let rest = ''
    this.#socket.setEncoding('utf8').on('data', (chunk) => {
      const lines = (rest + chunk).split('\n')
      rest = lines.pop()
      for (const line of lines) this.#waiting.push(new Delivery(this, JSON.parse(line)))
      this.#wake()
    })
    this.#socket.on('error', () => process.exit(0)).on('close', () => process.exit(0))
    await new Promise((resolve) => this.#socket.once('connect', resolve))
  }

  answer(line) {
    this.#socket.write(`${JSON.stringify(line)}\n`)
  }

  async *scan({ signal, onIdle }) {
    while (!signal.aborted) {
      const next = this.#waiting.shift()
      if (next !== undefined) yield next
      else {
        onIdle()
        await new Promise((resolve) => {
          this.#wake = resolve
          signal.addEventListener('abort', resolve, { once: true })
        })
      }
    }
  }
}

const queue = new Queue('q', { root: job.root })
const stream = new SocketStream()
if (job.forgetful) {
  await stream.open()
  say({ ready: true })
  const stop = new AbortController()
  for await (const delivery of stream.scan({ signal: stop.signal, onIdle: () => undefined }))
    void queue.enqueue(delivery.body, delivery.args).then(() => delivery.done())
} else {
  const receiver = await receive(stream, queue, { inFlight: job.inFlight })
  say({ ready: true, recovered: receiver.numbers.recovered })
  const end = async () => {
    await receiver.close()
    await queue.close()
    say({ numbers: receiver.numbers })
    process.exit(0)
  }
  process.on('SIGTERM', () => void end())
}
