/** The process of the start-up workload: node startup-reader.mjs [MODULE]. Prints JSON. */
import { performance } from 'node:perf_hooks'
import process from 'node:process'

const [, , module] = process.argv
const begin = performance.now()
if (module !== undefined) await import(module)
process.stdout.write(JSON.stringify({ importMs: performance.now() - begin }))
// Some modules keep the process alive; do not wait for that.
process.exit()
