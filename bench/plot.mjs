/** Draws the results of the benchmark (bench/README.md, "The plots"). */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'

import { draw } from './lib/chart.mjs'
import { figuresOf } from './lib/figures.mjs'

const USAGE = `npm run bench:plot -- --out PREFIX FILE...

  FILE          what npm run bench wrote with --json; several files of one file system make the same plots,
                and what more than one of them has is taken from the last
  --out PREFIX  where the plots go: PREFIX-adding.svg, PREFIX-taking.svg and PREFIX-large.svg
`

try {
  await main()
} catch (error) {
  const isMissing = error.code === 'ERR_MODULE_NOT_FOUND'
  process.stderr.write(isMissing ? 'vega is not installed: npm run bench:peers\n' : `${error.message}\n`)
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
  const figures = figuresOf(positionals.map(read))
  mkdirSync(dirname(values.out), { recursive: true })
  for (const figure of figures) {
    const path = `${values.out}-${figure.name}.svg`
    writeFileSync(path, `${await draw(figure)}\n`)
    process.stdout.write(`${path}\n`)
  }
}

function read(path) {
  const text = readFileSync(path, 'utf8')
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new Error(`${path}: ${error.message}`, { cause: error })
  }
}
