/**
 * The names in received/, the directory of what receivers keep (fsq standard, section 13).
 *
 * @module
 */

/** The directory of the receivers of a queue. */
export const RECEIVED_DIRECTORY = 'received'
/** In the directory of a receiver: the items that are not in queue/ yet. */
export const STAGED_DIRECTORY = 'staged'
/** In the directory of a receiver: the file that the receiver locks. */
export const LEDGER_LOCK = 'lock'

/** Whether a name can be that of a source: it names a directory in received/. */
export function isSourceName(name: unknown): name is string {
  return typeof name === 'string' && /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}$/.test(name)
}
