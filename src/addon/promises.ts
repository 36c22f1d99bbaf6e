/**
 * Calls that make few promises: each promise costs as much as a small system call.
 *
 * @module
 */
import { nextTick } from '../real-timers.js'

/**
 * Runs the rest of a call that has failed. A caller's promise is resolved with the promise that this returns. The rest runs a tick later:
 * by then the two promises are joined, so the stack of an error that it makes leads to the line that awaits the call.
 */
export function runLate<Result>(rest: () => Result | Promise<Result>): Promise<Result> {
  return new Promise<void>((resolve) => {
    nextTick(resolve)
  }).then(rest)
}

/** Whether a value that may be there at once has to be awaited. Not instanceof: the promises of native code are of its own realm. */
export function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value
}
