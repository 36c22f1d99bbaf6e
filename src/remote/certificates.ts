/**
 * Certificates and keys that cannot be used. Apart from what needs them: the sender and the command of the receiver.
 *
 * @module
 */
import { FsqError } from '../index.js'

/** Says of an error of `node:tls` what it is about, which that does not say itself. */
export function certificateError(error: unknown): FsqError {
  const reason = error instanceof Error ? error.message : String(error)
  return new FsqError(`The certificates or the key for TLS cannot be used: ${reason}`, {
    cause: error,
    advice: 'Give files in PEM, and the key that belongs to the certificate',
  })
}
