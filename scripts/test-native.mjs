// Builds the C++ tests and fuzz targets (test/native) under a sanitizer, and runs them.
//
//     npm run test:native [-- SANITIZER]     address,undefined (default) or thread
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import process from 'node:process'

import { run } from './run.mjs'

const RUNS = 50_000

process.chdir(resolve(import.meta.dirname, '..'))

const [sanitizer = 'address,undefined'] = process.argv.slice(2)
const out = `build-native-${sanitizer.replaceAll(',', '-')}`

run('cmake', ['-S', 'test/native', '-B', out, '--log-level=ERROR', `-DFSQ_SANITIZE=${sanitizer}`], {
  stdio: ['ignore', 'ignore', 'inherit'],
})
run('cmake', ['--build', out, '--parallel', String(availableParallelism())])

// The sanitizers abort, so that a fuzz target can print which input failed.
const env = {
  ...process.env,
  ASAN_OPTIONS: 'abort_on_error=1',
  UBSAN_OPTIONS: 'abort_on_error=1:print_stacktrace=1',
}
run(join(out, 'tests'), [], { env })
for (const target of ['name_order', 'time_text']) {
  console.log(`fuzz_${target}: ${RUNS} inputs`)
  run(join(out, `fuzz_${target}`), [String(RUNS)], { env })
}
