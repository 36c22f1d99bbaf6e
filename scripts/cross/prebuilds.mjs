// Fills prebuilds/: `node scripts/cross/prebuilds.mjs [--any-size] [TARGET...]`. Default: all six targets; `host` is
// the one of this machine. prebuildify makes the binary of this machine, and cmake-js with zig the others. Without
// zig, they are skipped with a message. Exit code 3: this machine cannot build its own binary for others, and nothing else is wrong.
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import process from 'node:process'

import { run } from '../run.mjs'
import { faultsOf, ROOT } from './check.mjs'
import { stripMachO } from './strip-macho.mjs'
import { hostTarget, TARGETS } from './targets.mjs'
import { compilerFor, findZig } from './zig.mjs'

const { resolve: resolvePackage } = createRequire(import.meta.url)
const UNFIT = 3
const host = hostTarget()
if (!host && process.argv.includes('host')) {
  console.log(`SKIPPED host: there is no target for ${process.platform} on ${process.arch}`)
  process.exit(UNFIT)
}
// For checking whether a target compiles; a release must also be small.
const anySize = process.argv.includes('--any-size')
const named = process.argv.slice(2).filter((name) => name !== '--any-size')
const wanted = targetsNamed(named.map((name) => (name === 'host' && host ? host.name : name)))
const { zig, reason } = findZig()

for (const target of wanted) {
  if (target !== host && !zig) {
    console.log(`SKIPPED ${target.name}: ${reason}`)
    continue
  }
  const started = Date.now()
  const folder = join(ROOT, 'build-cross', target.name)
  // Without zig, the compiler of this machine is used. Its C library may be newer than the floor; the check below
  // reports that.
  const compiler = zig ? compilerFor(zig, target, folder) : {}
  const file = join(ROOT, 'prebuilds', target.file)
  rmSync(file, { force: true })
  mkdirSync(dirname(file), { recursive: true })
  if (target === host) prebuildify(target, folder, compiler)
  else cmakeJs(target, folder, compiler, file)

  const faults = faultsOf(target, undefined, { anySize })
  for (const fault of faults) console.error(`${target.name}: ${fault}`)
  // Only zig makes binaries that are small, and fit for older systems.
  const isUnfit = !zig && faultsOf(target, undefined, { anySize: true, anyVersions: true }).length === 0
  if (faults.length > 0) process.exitCode = isUnfit ? UNFIT : 1
  else console.log(`built   ${target.name} in ${Math.round((Date.now() - started) / 1000)} s`)
}

function targetsNamed(names) {
  const unknown = names.filter((name) => !TARGETS.some((target) => target.name === name))
  if (unknown.length === 0)
    return names.length === 0 ? TARGETS : TARGETS.filter(({ name }) => names.includes(name))
  console.error(`No target ${unknown.join(', ')}. There are: ${TARGETS.map(({ name }) => name).join(', ')}`)
  process.exit(1)
}

/** In a copy, because prebuildify would remove build/Release/fsq.node while other programs may be using it. */
function prebuildify(target, folder, compiler) {
  const copy = join(folder, 'source')
  for (const part of ['native', 'binding.gyp', 'package.json']) {
    rmSync(join(copy, part), { recursive: true, force: true })
    cpSync(join(ROOT, part), join(copy, part), { recursive: true })
  }
  const options = ['--napi', '--strip', ...(target.libc ? ['--tag-libc'] : []), '--quiet']
  run(process.execPath, [resolvePackage('prebuildify/bin.js'), ...options, '--cwd', copy, '--out', ROOT], {
    env: { ...process.env, ...headers(), ...compiler },
  })
}

function cmakeJs(target, folder, compiler, file) {
  const out = join(folder, 'build')
  const options = [
    '--out',
    out,
    '--log-level',
    'error',
    '--parallel',
    String(availableParallelism()),
    '--CDFSQ_WERROR=ON',
    `--CDCMAKE_SYSTEM_NAME=${target.platform === 'darwin' ? 'Darwin' : 'Linux'}`,
    // macOS: a library names itself, by default with the folder that it was built in, and CMake wants a Mac's tool
    '--CDCMAKE_INSTALL_NAME_DIR=@rpath',
    '--CDCMAKE_BUILD_WITH_INSTALL_NAME_DIR=ON',
    '--CDCMAKE_INSTALL_NAME_TOOL=true',
    `--CDCMAKE_USER_MAKE_RULES_OVERRIDE=${join(import.meta.dirname, 'rules.cmake')}`,
  ]
  rmSync(out, { recursive: true, force: true })
  run(process.execPath, [resolvePackage('cmake-js/bin/cmake-js'), 'compile', ...options], {
    cwd: ROOT,
    env: { ...process.env, ...compiler },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const built = join(out, 'Release/fsq.node')
  if (target.platform === 'darwin')
    writeFileSync(file, stripMachO(readFileSync(built), 'fsq.node'), { mode: 0o755 })
  else cpSync(built, file)
}

/** Uses the headers that came with this Node, if any, instead of a download. */
function headers() {
  const prefix = resolve(process.execPath, '../..')
  return process.env.npm_config_nodedir ? {} : { npm_config_nodedir: prefix }
}
