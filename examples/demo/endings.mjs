// How the demo ends: its exit codes, and the errors behind them.
import os from 'node:os'
import process from 'node:process'

import { FsqError } from 'fsq'

/** The command line is wrong. */
export class UsageError extends Error {}
/** The demo cannot be run; the message says all. */
export class CannotRunError extends Error {}
/** The demo ran, and something is off; the message says all. */
export class OffError extends Error {}

/** @returns The exit code and what to print. */
export function endingOf(error) {
  if (error instanceof UsageError) return { code: 100, text: `${error.message}. Try: npm run demo -- --help` }
  if (error instanceof OffError) return { code: 1, text: error.message }
  // Errors of fsq, and of Node's own file system calls, say in words what is wrong and where.
  if (error instanceof CannotRunError || error instanceof FsqError || error?.syscall !== undefined) {
    return { code: 111, text: error.message }
  }
  return { code: 1, text: error?.stack ?? String(error) }
}

/**
 * Resolves to an exit code when the demo is told to stop, or nobody reads its output any more; rejects with what nobody
 * has caught. Ending by an exception of its own, the process would leave its workers and its folder behind.
 */
export function interruption() {
  return new Promise((resolve, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => resolve(128 + os.constants.signals[signal]))
    }
    process.stdout.on('error', () => resolve(128 + os.constants.signals.SIGPIPE))
    process.on('uncaughtException', reject)
  })
}
