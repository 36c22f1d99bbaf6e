// `npm run check:unused`: finds unused exports, files and dependencies, with knip.
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'

import { run } from '../run.mjs'

const here = import.meta.dirname
const knip = join(here, 'node_modules/knip/bin/knip.js')
if (!existsSync(knip))
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--silent'], { cwd: here })
run(process.execPath, [knip, '--config', join(here, 'knip.json'), '--no-progress'], {
  cwd: resolve(here, '../..'),
})
