// Builds the addon, with fault points, under the sanitizers of addresses and undefined behaviour, and runs jest on it: all
// tests, or those that are named.
//
//     npm run test:sanitized [-- test/queue ...]
import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'

import { run } from './run.mjs'

const ROOT = resolve(import.meta.dirname, '..')
const FOLDER = join(ROOT, 'build-sanitized')

process.chdir(ROOT)

run(process.execPath, [
  createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js'),
  'build',
  ...['--out', join(FOLDER, 'build'), '--log-level', 'error', '--parallel', String(availableParallelism())],
  ...['--CDFSQ_SANITIZE=address,undefined', '--CDFSQ_FAULT_POINTS=ON', '--CDFSQ_WERROR=ON'],
])

const { stdout } = spawnSync('g++', ['-print-file-name=libasan.so'], { encoding: 'utf8' })
run(
  process.execPath,
  [
    '--experimental-vm-modules',
    '--disable-warning=ExperimentalWarning',
    'node_modules/jest/bin/jest.js',
  ].concat(process.argv.slice(2)),
  {
    env: {
      ...process.env,
      // node itself is built without sanitizers, so their library must be loaded before it.
      LD_PRELOAD: stdout.trim(),
      // node's own leaks are not ours.
      ASAN_OPTIONS: 'detect_leaks=0',
      UBSAN_OPTIONS: 'print_stacktrace=1',
      // For node-gyp-build, and for test/support/fault-build.cjs.
      FSQ_PREBUILD: FOLDER,
      FSQ_FAULT_BUILD: join(FOLDER, 'build', 'Release', 'fsq.node'),
    },
  },
)
