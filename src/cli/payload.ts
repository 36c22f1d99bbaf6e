/**
 * Where the contents of an item come from.
 *
 * @module
 */
import fs from 'node:fs'
import { isatty } from 'node:tty'

import { PayloadError } from '../errors.js'
import type { Payload } from '../payload.js'
import { readAll, say } from './output.js'

const STDIN = 0

/** Standard input to its end. */
export function inputPayload(): Payload {
  if (isatty(STDIN)) say('neither -e nor -f: type the contents, and Ctrl-D to end them')
  return readOrRefuse('standard input', () => readAll(STDIN))
}

/** The contents of a file, of whatever kind: shells pass FIFOs for `<(command)`. */
export function filePayload(file: string): Payload {
  return readOrRefuse(`the file '${file}'`, () => {
    if (fs.statSync(file).isFile()) return { path: file }
    const descriptor = fs.openSync(file, 'r')
    try {
      return readAll(descriptor)
    } finally {
      fs.closeSync(descriptor)
    }
  })
}

function readOrRefuse(what: string, read: () => Payload): Payload {
  try {
    return read()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new PayloadError(`Cannot read ${what}: ${reason}. Nothing was queued`, { cause })
  }
}
