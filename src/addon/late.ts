/**
 * The rest of a call whose result a batch has brought.
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
