/**
 * Timers and the clock that a test with fake timers does not replace, as it replaces the global ones.
 *
 * @module
 */
import hooks from 'node:perf_hooks'
import process from 'node:process'
import timers from 'node:timers'

// Not `export … from`: the build (scripts/builtins.mjs) finds the names of Node's modules in imports only.
export const { performance } = hooks
export const nextTick = process.nextTick.bind(process)
export const { clearInterval, clearTimeout, setImmediate, setInterval, setTimeout } = timers
export const queueMicrotask = globalThis.queueMicrotask.bind(globalThis)
