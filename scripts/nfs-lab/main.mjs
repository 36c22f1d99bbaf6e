// The trials of queues on a real NFS server, in three emulated machines. CONTRIBUTING.md says what they show.
//
//     npm run lab:nfs [-- TRIAL ...]
//
// Prints a line for each bar, with its figure. The exit code says whether all of them hold. Builds the machines at the first run, in
// build/nfs-lab.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

import { run } from '../run.mjs'
import { calls } from './calls.mjs'
import { cut, frozen } from './cut.mjs'
import { doctors } from './doctor.mjs'
import { killed } from './killed.mjs'
import { FOLDER, boot } from './machines.mjs'
import { news } from './news.mjs'
import { race } from './race.mjs'
import { resets } from './resets.mjs'

const TRIALS = { race, calls, killed, news, doctor: doctors, cut, frozen, resets }
const PATIENCE_MS = 900_000
const PACKAGES = ['qemu-system-x86', 'busybox-static', 'cpio', 'e2fsprogs']

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(TRIALS)
const unknown = names.find((name) => !Object.hasOwn(TRIALS, name))
if (unknown !== undefined) throw new Error(`no trial '${unknown}', but ${Object.keys(TRIALS).join(', ')}`)
const isFit = process.platform === 'linux' && process.arch === 'x64' && process.getuid() === 0
if (!isFit || spawnSync('dpkg', ['--status', ...PACKAGES]).status !== 0) {
  const install = `apt-get update && apt-get install --no-install-recommends ${PACKAGES.join(' ')}`
  console.error(`lab:nfs needs root on Debian 12 or newer on x64, and these packages:\n${install}`)
  process.exit(1)
}
if (!fs.existsSync(`${FOLDER}/built`)) run(fileURLToPath(new URL('build.sh', import.meta.url)), [FOLDER])

let failed = 0
const lab = await boot()
for (const name of names) {
  /** A list counts by its length. */
  const bar = (what, figure, most, least = 0, details = figure) => {
    const number = figure.length ?? figure
    const holds = number >= least && number <= most
    if (!holds) failed++
    const limit = least === most ? most : `at most ${most}`
    console.log(`${holds ? 'pass' : 'FAIL'}  ${name}: ${what}: ${number} (bar: ${limit})`)
    if (!holds && Array.isArray(details)) console.log(details.slice(0, 5).join('\n'))
  }
  try {
    const isLate = await Promise.race([TRIALS[name](lab, bar), later(PATIENCE_MS, true, { ref: false })])
    if (isLate) throw new Error('it takes too long')
  } catch (error) {
    failed++
    console.log(`FAIL  ${name}: ${error.stack}`)
  }
}
lab.end()
console.log(failed === 0 ? 'all bars hold' : `${failed} bars do not hold`)
process.exitCode = failed === 0 ? 0 : 1
