/**
 * The standard error of programs: passes it on to that of this process, and keeps its end for the log of the item.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import net from 'node:net'

import { isFailure, native } from '../addon/native.js'
import { codeOf } from '../errors/errno.js'
import { passOn } from './output.js'

const MOST_KEPT = 4096
const CHUNK = 65_536

/**
 * A pipe that one program after the other writes to. It is a real pipe, and not the socket that Node would make: programs may open
 * /dev/stderr. This process keeps the write end, so that there is no end of the file to wait for: a program may leave others in the
 * background that still have it.
 */
export class ErrorOutput {
  /** The standard error of the programs. */
  readonly descriptor: number
  readonly #readEnd: number
  readonly #socket: net.Socket
  readonly #buffer = Buffer.allocUnsafe(CHUNK)
  /** The last bytes: at most twice as many as are kept. */
  #kept: Buffer[] = []
  #size = 0

  private constructor(readEnd: number, writeEnd: number) {
    this.descriptor = writeEnd
    this.#readEnd = readEnd
    this.#socket = new net.Socket({ fd: readEnd, readable: true, writable: false })
    this.#socket.on('data', (bytes: Buffer) => {
      this.#take(bytes)
    })
    // The output of the programs is lost then. The items are worked all the same.
    this.#socket.on('error', () => undefined)
    // The programs keep this process alive. Their output does not.
    this.#socket.unref()
  }

  /** `undefined`: this process has too many descriptors open. */
  static open(): ErrorOutput | undefined {
    const ends = native.openPipe()
    return isFailure(ends) ? undefined : new ErrorOutput(...ends)
  }

  /** Another program begins. */
  begin(): void {
    this.#kept = []
    this.#size = 0
  }

  /** The program has ended. @returns The end of what it has written. */
  end(): string {
    this.#readAll()
    const bytes = Buffer.concat(this.#kept)
    if (bytes.length <= MOST_KEPT) return bytes.toString()
    const tail = bytes.subarray(-MOST_KEPT).toString()
    // The first line is cut, perhaps within a character.
    const line = tail.indexOf('\n') + 1
    return line > 0 && line < tail.length ? tail.slice(line) : tail.replace(/^\ufffd+/, '')
  }

  close(): void {
    this.#readAll()
    this.#socket.destroy()
    fs.closeSync(this.descriptor)
  }

  /** Reads what is there: the program may have ended before the event loop has had its turn. */
  #readAll(): void {
    try {
      for (;;) {
        const size = fs.readSync(this.#readEnd, this.#buffer)
        if (size === 0) return
        this.#take(Buffer.from(this.#buffer.subarray(0, size)))
        if (size < CHUNK) return
      }
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error
    }
  }

  #take(bytes: Buffer): void {
    passOn(bytes)
    this.#kept.push(bytes)
    this.#size += bytes.length
    if (this.#size <= 2 * MOST_KEPT) return
    // A copy: the rest of a large chunk is not to be kept.
    const tail = Buffer.from(Buffer.concat(this.#kept).subarray(-MOST_KEPT - 1))
    this.#kept = [tail]
    this.#size = tail.length
  }
}
