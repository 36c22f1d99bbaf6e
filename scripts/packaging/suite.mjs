// Runs the tests of the project in a runtime that cannot run jest: `npm run test:suite -- bun|deno [FILE...]`. Prints
// the number of passed tests in each file, and the failures with -v. docs/platforms.md lists what cannot pass.
// test:packaging must have installed its tools before.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

import { ROOT, tool } from './checks.mjs'

const MINUTES = 60_000
const deno = join(import.meta.dirname, 'deno')
const RUN_TIMES = {
  bun: ['@oven/bun-linux-x64/bin/bun', 'test', '--timeout', '60000'],
  deno: [
    '@deno/linux-x64-glibc/deno',
    ...['run', '--allow-all', '--no-check', '--sloppy-imports', '--node-modules-dir=manual'],
    ...[`--import-map=${join(deno, 'import-map.json')}`, join(deno, 'run.mjs')],
  ],
}

const verbose = process.argv.includes('-v')
const [name, ...named] = process.argv.slice(2).filter((argument) => argument !== '-v')
const [program, ...args] = RUN_TIMES[name] ?? []
if (!program || !tool(program)) {
  console.error(
    program ? 'Install the run times first: npm run test:packaging' : 'Which run time: bun or deno?',
  )
  process.exit(1)
}

const total = { pass: 0, fail: 0 }
for (const file of named.length > 0 ? named : testFiles()) {
  const { stdout, stderr, signal } = spawnSync(tool(program), [...args, join(ROOT, file)], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
    timeout: 10 * MINUTES,
    maxBuffer: Infinity,
  })
  const output = stdout + stderr
  const number = (word) => Number(new RegExp(`^ *(\\d+) ${word}$`, 'm').exec(output)?.[1])
  const [pass, fail] = [number('pass'), number('fail')]
  if (verbose && fail > 0) console.log(output)
  if (Number.isNaN(pass + fail)) {
    total.fail++
    console.log(`${file}: did not end (${signal ?? 'no result'})\n${verbose ? output : ''}`)
    continue
  }
  total.pass += pass
  total.fail += fail
  console.log(`${file}: ${pass} passed${fail > 0 ? `, ${fail} failed` : ''}`)
}
console.log(`${total.pass} passed, ${total.fail} failed`)
if (total.fail > 0) process.exitCode = 1

/** All tests except those of the tools that build and pack, which run only in Node. */
function testFiles() {
  return readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts') && !file.startsWith('packaging/'))
    .map((file) => join('test', file))
    .sort()
}
