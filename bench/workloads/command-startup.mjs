import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'

const MAIN = resolve(import.meta.dirname, '../../dist/command/cli/main.js')
const ROUNDS_EACH = 3

/** What a command costs a shell script: milliseconds of whole processes, against that of a Node that does nothing. */
export function measureStartup({ rounds, folder }) {
  const root = folder.make()
  const env = { ...process.env, FSQ_ROOT: root, FSQ_DURABILITY: 'none' }
  const contenders = {
    'node -e 0': ['-e', '0'],
    'fsq --help': [MAIN, '--help'],
    'fsq enqueue -e': [MAIN, 'enqueue', '-e', 'q', 'a'],
  }
  run([MAIN, 'install', 'q'], env)
  const samples = Object.fromEntries(Object.keys(contenders).map((name) => [name, []]))
  for (let round = 0; round < rounds * ROUNDS_EACH; round++) {
    for (const [name, args] of Object.entries(contenders)) samples[name].push(run(args, env))
  }
  assert.equal(readdirSync(join(root, 'q', 'queue')).length, rounds * ROUNDS_EACH, 'items that wait')
  rmSync(root, { recursive: true })
  return samples
}

function run(args, env) {
  const begin = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' })
  const taken = performance.now() - begin
  assert.equal(status, 0, stderr)
  return taken
}
