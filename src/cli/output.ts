/**
 * Standard output and standard error, written at once and whole, without Node's streams: loading those takes longer than
 * many a command, and what they have not written yet when a pipe is closed cannot be told.
 *
 * @module
 */
import fs from 'node:fs'

import { codeOf } from '../errors/errno.js'
import { printableText } from '../name/charset.js'

const STDOUT = 1
const STDERR = 2
const CHUNK = 65_536
const RETRY_MS = 2

/** Standard output cannot be written to. */
export class OutputError extends Error {
  /** Nobody reads on, and there is nothing to say about it. */
  get isClosed(): boolean {
    return codeOf(this.cause) === 'EPIPE'
  }
}

let speaker = 'fsq'

/** Whose messages follow. */
export function speakAs(command: string): void {
  speaker = `fsq ${command}`
}

/** Writes to standard output. @throws {@link OutputError} */
export function write(text: string | Uint8Array): void {
  try {
    writeAll(STDOUT, text)
  } catch (cause) {
    throw new OutputError(`cannot write to standard output: ${(cause as Error).message}`, { cause })
  }
}

/** A message for people, on standard error. What would work on the terminal is escaped. */
export function say(message: string): void {
  const lines = message.split('\n').map((line) => `${speaker}: ${printableText(line)}\n`)
  try {
    writeAll(STDERR, lines.join(''))
  } catch {
    // There is nobody to tell it to. The exit code tells.
  }
}

/** A question, on standard error; the answer is typed behind it. */
export function prompt(question: string): void {
  try {
    writeAll(STDERR, `${speaker}: ${printableText(question)} `)
  } catch {
    // Nobody has been asked, and so nobody says yes.
  }
}

/** Lines for standard output, written in chunks. */
export class Lines {
  #text = ''

  add(line: string): void {
    this.#text += `${line}\n`
    if (this.#text.length >= CHUNK) this.flush()
  }

  flush(): void {
    const text = this.#text
    this.#text = ''
    if (text !== '') write(text)
  }
}

/** What there is to read next; empty: the end. */
export function readSome(descriptor: number): Buffer {
  const buffer = Buffer.allocUnsafe(CHUNK)
  for (;;) {
    try {
      return buffer.subarray(0, fs.readSync(descriptor, buffer))
    } catch (error) {
      if (codeOf(error) !== 'EAGAIN') throw error
      pause()
    }
  }
}

function writeAll(descriptor: number, text: string | Uint8Array): void {
  let rest = typeof text === 'string' ? Buffer.from(text) : text
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(descriptor, rest))
    } catch (error) {
      // Somebody who shares the pipe or the terminal has made it non-blocking.
      if (codeOf(error) !== 'EAGAIN') throw error
      pause()
    }
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS)
}
