/**
 * The warning of a queue whose workers lock items, on a mount that is for one machine only.
 *
 * @module
 */

/** The queues of which this process has warned. */
const warned = new Set<string>()

/** @param reasons - Those of `probe/mount-options.ts`. */
export function warnOfMount(queuePath: string, reasons: readonly string[]): void {
  if (warned.has(queuePath)) return
  warned.add(queuePath)
  process.emitWarning(
    `Let one machine alone work the queue ${queuePath}, because of the options of its mount: ${reasons.join('; ')}`,
    { type: 'FsqWarning', code: 'FSQ_MOUNT' },
  )
}
