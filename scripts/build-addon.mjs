// Builds build/Release/fsq.node. Configures only if necessary; make then compiles only the changed sources.
import { spawnSync } from 'node:child_process'
import { existsSync, statSync, utimesSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, resolve } from 'node:path'
import process from 'node:process'

process.chdir(resolve(import.meta.dirname, '..'))

const makefile = 'build/Makefile'
const changed = (file) => statSync(file).mtimeMs
const configured =
  existsSync(makefile) &&
  ['binding.gyp', 'native/sources.txt'].every((file) => changed(file) < changed(makefile))

if (!configured) {
  nodeGyp('configure', ...headers())
  const now = new Date()
  utimesSync(makefile, now, now) // gyp leaves an unchanged Makefile alone
}
nodeGyp('build', '--jobs', String(availableParallelism()))

/** Uses the headers that came with this Node, if any, instead of a download. npm's own setting takes precedence. */
function headers() {
  const prefix = dirname(dirname(process.execPath))
  const given = process.env.npm_config_nodedir
  return !given && existsSync(resolve(prefix, 'include/node/node_api.h')) ? ['--nodedir', prefix] : []
}

function nodeGyp(...args) {
  const program = createRequire(import.meta.url).resolve('node-gyp/bin/node-gyp.js')
  const { status } = spawnSync(process.execPath, [program, ...args, '--release', '--loglevel', 'error'], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, MAKEFLAGS: 's --no-print-directory' },
  })
  if (status !== 0) process.exit(status ?? 1)
}
