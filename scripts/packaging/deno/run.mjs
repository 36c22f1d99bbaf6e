// Runs one test file under Deno and prints what jest would print: `deno run … run.mjs FILE`. See suite.mjs.
import process from 'node:process'
import { pathToFileURL } from 'node:url'

import { getState, run } from 'jest-circus'

getState().testTimeout = 60_000
await import(pathToFileURL(process.argv[2]).href)
const { testResults, unhandledErrors } = await run()

const count = { pass: 0, fail: unhandledErrors.length }
for (const error of unhandledErrors) console.log(error)
for (const { status, errors, testPath } of testResults) {
  if (status !== 'done') continue
  count[errors.length === 0 ? 'pass' : 'fail']++
  if (errors.length > 0) console.log(`(fail) ${testPath.slice(1).join(' > ')}\n${errors.join('\n')}`)
}
console.log(`${count.pass} pass\n${count.fail} fail`)
process.exit(count.fail === 0 ? 0 : 1)
