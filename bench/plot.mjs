/** Draws the results of the benchmark (bench/README.md, "The plots"). */
import { readFileSync } from 'node:fs'
import process from 'node:process'
import { parseArgs } from 'node:util'

import { plot } from './lib/plot.mjs'

const USAGE = `npm run bench:plot -- --out PREFIX FILE...

  FILE          what npm run bench wrote with --json; several files of one file system make the same plots,
                and what more than one of them has is taken from the last
  --out PREFIX  where the plots go: PREFIX-adding.svg, PREFIX-taking.svg and PREFIX-large.svg
`

try {
  await main()
} catch (error) {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = 1
}

async function main() {
  const { values, positionals } = parseArgs({
    options: { out: { type: 'string' }, help: { type: 'boolean', default: false } },
    allowPositionals: true,
  })
  if (values.help) {
    process.stdout.write(USAGE)
    return
  }
  if (values.out === undefined || positionals.length === 0) throw new Error(USAGE)
  for (const path of await plot(positionals.map(read), values.out)) process.stdout.write(`${path}\n`)
}

function read(path) {
  const text = readFileSync(path, 'utf8')
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`${path}: ${error.message}`, { cause: error })
  }
}
