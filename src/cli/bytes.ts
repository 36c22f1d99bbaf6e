/**
 * The arguments of this process as bytes.
 *
 * @module
 */
import { isUtf8 } from 'node:buffer'
import fs from 'node:fs'

import { EncodingError } from '../errors/classes.js'

/**
 * Refuses arguments that are not UTF-8. For command lines with U+FFFD in them: Node puts that character in the place of bytes
 * that are not UTF-8, and the original bytes would be lost.
 *
 * @throws {@link EncodingError} unless the arguments are UTF-8.
 */
export async function checkArguments(): Promise<void> {
  let bytes: Buffer | undefined
  try {
    bytes = fs.readFileSync('/proc/self/cmdline')
  } catch {
    // Not Linux: the bytes cannot be read, so the arguments are refused.
  }
  if (bytes !== undefined && isUtf8(bytes)) return
  throw new EncodingError('an argument is not valid UTF-8', {
    advice: 'Names and arguments are texts; put other bytes into the payload',
  })
}
