// The release gate: `node scripts/cross/check-prebuilds.mjs` fails if a prebuilt binary is missing, stale or unfit.
import process from 'node:process'

import { faultsOf } from './check.mjs'
import { TARGETS } from './targets.mjs'

for (const target of TARGETS) {
  const faults = faultsOf(target)
  if (faults.length > 0) process.exitCode = 1
  console.log(`${faults.length > 0 ? 'FAILED' : 'ok    '}  ${target.name}`)
  for (const fault of faults) console.log(`        ${fault}`)
}
