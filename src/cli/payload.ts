/**
 * Reads the contents of an item from standard input or a file.
 *
 * @module
 */
import fs from 'node:fs'
import { isatty } from 'node:tty'

import { PayloadError } from '../errors/classes.js'
import type { Payload } from '../enqueue/payload.js'
import { say } from './output.js'

const STDIN = 0

/** Standard input, up to its end. */
export function inputPayload(): Payload {
  if (isatty(STDIN)) say('neither -e nor -f: type the contents, and Ctrl-D to end them')
  return openPayload(STDIN, 'standard input')
}

/** The contents of a file of any kind: for `<(command)` shells pass FIFOs. The file stays open until this process ends. */
export function filePayload(file: string): Payload {
  const what = `the file '${file}'`
  try {
    return openPayload(fs.openSync(file, 'r'), what)
  } catch (cause) {
    if (cause instanceof PayloadError) throw cause
    throw new PayloadError(`Cannot read ${what}: ${(cause as Error).message}. Nothing was queued`, { cause })
  }
}

function openPayload(fd: number, what: string): Payload {
  if (!fs.fstatSync(fd).isDirectory()) return { fd }
  throw new PayloadError(`Cannot read ${what}: it is a directory. Nothing was queued`)
}
