// How the demo ends: its exit codes, and the errors behind them.
import os from 'node:os'
import process from 'node:process'

import { FsqError, ItemGoneError } from 'fsq'

/** The command line is wrong. */
export class UsageError extends Error {}
/** The demo cannot be run; the message says all. */
export class CannotRunError extends Error {}
/** The demo ran, and something is off; the message says all. */
export class OffError extends Error {}

/** Somebody wants the demo to stop. */
class StoppedError extends Error {
  constructor(signal, message) {
    super(message)
    this.exitCode = 128 + os.constants.signals[signal]
  }
}

/** @returns The exit code, and what to say. */
export function endingOf(error) {
  if (error instanceof UsageError) return { code: 100, text: `${error.message}. Try: npm run demo -- --help` }
  // That an item which is ours is moved by others must not happen, and is no bad luck either.
  if (error instanceof OffError || error instanceof ItemGoneError) return { code: 1, text: error.message }
  if (error instanceof StoppedError) return { code: error.exitCode, text: error.message }
  // Errors of fsq, and of Node's own file system calls, say in words what is wrong and where.
  if (error instanceof CannotRunError || error instanceof FsqError || error?.syscall !== undefined) {
    return { code: 111, text: error.message }
  }
  return { code: 1, text: error?.stack ?? String(error) }
}

/**
 * Rejects when the demo is told to stop, when nobody reads its output any more, and with what nobody has caught. Ending
 * right then, the process would leave its workers and its folder behind.
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
