/** A process of its own for the start: node startup-reader.mjs [MODULE], prints JSON. */
import { performance } from 'node:perf_hooks'
import process from 'node:process'

const [, , module] = process.argv
const begin = performance.now()
if (module !== undefined) await import(module)
process.stdout.write(JSON.stringify({ importMs: performance.now() - begin }))
// Not what keeps some of them alive.
process.exit()
