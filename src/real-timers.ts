/**
 * Timers and the clock that a test with fake timers does not replace, as it replaces the global ones.
 *
 * @module
 */
export { performance } from 'node:perf_hooks'
export { setImmediate, setTimeout } from 'node:timers'
