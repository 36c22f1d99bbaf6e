/**
 * The arguments of this process as bytes.
 *
 * @module
 */
import { isUtf8 } from 'node:buffer'
import fs from 'node:fs'

import { EncodingError } from '../errors/classes.js'

/**
 * For arguments with U+FFFD in them: that is what Node puts in the place of bytes that are not UTF-8, and what was meant
 * would be lost.
 *
 * @throws {@link EncodingError} unless the arguments are UTF-8.
 */
export async function checkArguments(): Promise<void> {
  let bytes: Buffer | undefined
  try {
    bytes = fs.readFileSync('/proc/self/cmdline')
  } catch {
    // Not Linux: it cannot be told, so it is not.
  }
  if (bytes !== undefined && isUtf8(bytes)) return
  throw new EncodingError('an argument is not valid UTF-8', {
    advice: 'Put bytes that are no text into the payload',
  })
}
