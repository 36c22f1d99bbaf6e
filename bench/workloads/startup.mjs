import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'

import { output } from '../lib/children.mjs'
import { ratioOf, spreadOf } from '../lib/statistics.mjs'
import { range } from '../lib/table.mjs'

const READER = join(import.meta.dirname, 'startup-reader.mjs')
const PACKAGES = ['plainjob', 'better-sqlite3', 'qlobber-fsq', 'bullmq', 'pg-boss']

/** New processes that import a package and exit. */
export const startup = { name: 'start-up', measure, lines }

async function measure({ rounds }) {
  const modules = { nothing: [], fsq: [new URL('../lib/fsq.mjs', import.meta.url).href] }
  for (const name of PACKAGES) {
    if (isInstalled(name)) modules[name] = [name]
  }
  const samples = Object.fromEntries(Object.keys(modules).map((name) => [name, []]))
  for (let round = -1; round < rounds; round++) {
    for (const [name, module] of Object.entries(modules)) {
      const begin = performance.now()
      const { importMs } = JSON.parse(await output(process.execPath, [READER, ...module]))
      if (round >= 0) samples[name].push({ importMs, processMs: performance.now() - begin })
    }
  }
  const imports = (name) => samples[name].map(({ importMs }) => importMs)
  return Object.fromEntries(
    Object.entries(samples).map(([name, results]) => {
      const measured = spreadOf(results, ['importMs', 'processMs'])
      const isPeer = PACKAGES.includes(name)
      return [name, isPeer ? { ...measured, ratio: ratioOf(imports('fsq'), imports(name)) } : measured]
    }),
  )
}

function isInstalled(name) {
  try {
    import.meta.resolve(name)
    return true
  } catch {
    return false
  }
}

function lines(results) {
  const each = Object.entries(results).map(([name, { importMs, processMs, ratio }]) => {
    const imported = name === 'nothing' ? '' : `import ${range(importMs, 1)} ms, `
    const compared = ratio === undefined ? '' : `; import, fsq : it ${range(ratio, 2)}`
    return `  ${name.padEnd(14)} ${imported}process from start to end ${range(processMs, 1)} ms${compared}`
  })
  return ['A new process that imports a package', ...each]
}
