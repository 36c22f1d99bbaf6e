// Builds build-faults/Release/fsq.node: the fault-point build, which only tests load (CONTRIBUTING.md).
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import process from 'node:process'

process.chdir(resolve(import.meta.dirname, '..'))

if (spawnSync('cmake', ['--version']).error) {
  console.error(
    'The tests need cmake, for the fault-point build: apt-get install cmake, or brew install cmake.',
  )
  process.exit(1)
}

// Configuring writes compile_commands.json last, so without it no configuration has ever finished.
if (!existsSync('build-faults/compile_commands.json')) cmakeJs('configure')
cmakeJs('build')

function cmakeJs(command) {
  const program = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js')
  const options = [
    '--CDFSQ_FAULT_POINTS=ON',
    '--CDFSQ_WERROR=ON',
    '--parallel',
    String(availableParallelism()),
  ]
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [program, command, '--out', 'build-faults', '--log-level', 'error', ...options],
    { encoding: 'utf8', maxBuffer: Infinity },
  )
  if (status === 0) return
  process.stdout.write(stdout)
  process.stderr.write(stderr)
  process.exit(status ?? 1)
}
