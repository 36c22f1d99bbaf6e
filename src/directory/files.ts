/**
 * Removing directories that nobody needs any more.
 *
 * @module
 */
import fs from 'node:fs/promises'

/**
 * Removes a directory with all that is in it. Others may still have it open and add files, so it is tried for a while; what
 * is left then is a warning, as what the directory was removed for has succeeded.
 *
 * @param what - What it is, to follow its path, as `which was a queue`.
 */
export async function removeLeftover(directory: string, what: string): Promise<void> {
  try {
    await fs.rm(directory, { recursive: true, force: true, maxRetries: 10, retryDelay: 20 })
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    process.emitWarning(`${directory}, ${what}, could not be removed: ${reason}. Remove it by hand`, {
      type: 'FsqWarning',
      code: 'FSQ_LEFTOVER',
    })
  }
}
