// How the demo ends: its exit codes, and the errors behind them.
import os from 'node:os'
import process from 'node:process'

import { FsqError, ItemGoneError } from 'fsq'

/** The command line is wrong. */
export class UsageError extends Error {}
/** The demo cannot run; the message says why. */
export class CannotRunError extends Error {}
/** The demo ran and found a mistake; the message describes it. */
export class OffError extends Error {}

/** The demo was asked to stop. */
class StoppedError extends Error {
  constructor(signal, message) {
    super(message)
    this.exitCode = 128 + os.constants.signals[signal]
  }
}

/** @returns The exit code, and the text to print. */
export function endingOf(error) {
  if (error instanceof UsageError) return { code: 100, text: `${error.message}. Try: npm run demo -- --help` }
  // An item of ours that another process moves is a mistake, not bad luck.
  if (error instanceof OffError || error instanceof ItemGoneError) return { code: 1, text: error.message }
  if (error instanceof StoppedError) return { code: error.exitCode, text: error.message }
  // Errors of fsq and of Node's file system calls say what is wrong and where.
  if (error instanceof CannotRunError || error instanceof FsqError || error?.syscall !== undefined) {
    return { code: 111, text: error.message }
  }
  return { code: 1, text: error?.stack ?? String(error) }
}

/**
 * Rejects when the demo is asked to stop, when its output is closed, and with uncaught errors. If the process ended
 * right then, its workers and its folder would stay behind.
 */
export function interruption() {
  return new Promise((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      const stop = () =>
        reject(new StoppedError(signal, `${signal}: workers killed, temporary folder removed`))
      process.on(signal, stop)
    }
    process.stdout.on('error', () => reject(new StoppedError('SIGPIPE', '')))
    process.on('uncaughtException', reject)
  })
}
