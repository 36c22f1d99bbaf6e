// `npm run release`: makes the package as it will be published, or says why it cannot. Publishes nothing: the last
// line says how to, and .github/workflows/release.yml does it.
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

import { faultsOf, ROOT } from './cross/check.mjs'
import { TARGETS } from './cross/targets.mjs'
import { run } from './run.mjs'

process.chdir(ROOT)
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))

const git = spawnSync('git', ['status', '--porcelain'], { encoding: 'utf8' })
if (git.status !== 0) refuse(`git status failed: ${git.stderr ?? git.error?.message}`)
if (git.stdout !== '') refuse(`these changes are not committed:\n${git.stdout}`)

if (!readFileSync(join(ROOT, 'CHANGELOG.md'), 'utf8').includes(`\n## [${version}] - `))
  refuse(`CHANGELOG.md has no heading '## [${version}] - DATE'`)

const faults = TARGETS.flatMap((target) => faultsOf(target).map((fault) => `${target.name}: ${fault}`))
if (faults.length > 0) refuse(`the prebuilt binaries are not ready:\n${faults.join('\n')}`)

for (const [script, ...args] of [['check'], ['test'], ['test:packaging', '--', '--required']]) {
  const { status } = spawnSync('npm', ['run', '--silent', script, ...args], { stdio: 'inherit' })
  if (status !== 0) refuse(`npm run ${script} has failed`)
}
run('npm', ['pack', '--ignore-scripts'])
console.log(`Publish it with: npm publish fsq-${version}.tgz`)

function refuse(reason) {
  console.error(`No release: ${reason}`)
  process.exit(1)
}
