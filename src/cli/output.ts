/**
 * Writes to standard output and standard error at once and in full, without Node's streams. Loading the streams takes longer
 * than many commands run, and when a pipe is closed they do not say how much they have written.
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
  /** Whether the reader has closed the pipe, which needs no message. */
  get isClosed(): boolean {
    return codeOf(this.cause) === 'EPIPE'
  }
}

let speaker = 'fsq'

/** Sets the command that messages begin with; '': that of no command. */
export function speakAs(command: string): void {
  speaker = command === '' ? 'fsq' : `fsq ${command}`
}

/** Writes to standard output. @throws {@link OutputError} */
export function write(text: string | Uint8Array): void {
  try {
    writeAll(STDOUT, text)
  } catch (cause) {
    throw new OutputError(`cannot write to standard output: ${(cause as Error).message}`, { cause })
  }
}

/** Writes a message for people to standard error. Escapes control characters. */
export function say(message: string): void {
  const lines = message.split('\n').map((line) => `${speaker}: ${printableText(line)}\n`)
  try {
    writeAll(STDERR, lines.join(''))
  } catch {
    // Standard error is closed. The exit code tells that the command failed.
  }
}

/** Passes on to standard error what a program has written to its own. */
export function passOn(bytes: Uint8Array): void {
  try {
    writeAll(STDERR, bytes)
  } catch {
    // Standard error is closed.
  }
}

/** Writes a question to standard error. The user types the answer after it. */
export function prompt(question: string): void {
  try {
    writeAll(STDERR, `${speaker}: ${printableText(question)} `)
  } catch {
    // No user has seen the question, so no answer follows, which means no.
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

/** Reads the next bytes. Empty: the end. */
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
      // Another process that shares the pipe or terminal has made it non-blocking.
      if (codeOf(error) !== 'EAGAIN') throw error
      pause()
    }
  }
}

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, RETRY_MS)
}
