/**
 * Removing directories that are no longer needed.
 *
 * @module
 */
import fs from 'node:fs/promises'

/**
 * Removes a directory with everything in it. Other processes may still have it open and add files, so it retries for
 * a while. If it still fails, the process is warned, because the operation that needs the removal has succeeded.
 *
 * @param what - What the directory was, to follow its path in the warning, such as `which was a queue`.
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
