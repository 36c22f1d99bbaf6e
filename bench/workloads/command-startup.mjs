import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync, readdirSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'

import { spread } from '../lib/statistics.mjs'
import { range } from '../lib/table.mjs'

const PACKAGE = resolve(import.meta.dirname, '../../package.json')
const MAIN = resolve(PACKAGE, '..', JSON.parse(readFileSync(PACKAGE, 'utf8')).bin.fsq)
const ROUNDS_EACH = 3
const NOTHING = 'node -e 0'

/**
 * The cost of a command in a shell script: milliseconds of whole processes, compared with a Node that does nothing.
 */
export const commandStartup = { name: 'command start-up', measure, lines }

function measure({ rounds, folder }) {
  const root = folder.make()
  const env = { ...process.env, FSQ_ROOT: root, FSQ_DURABILITY: 'none' }
  const contenders = {
    [NOTHING]: ['-e', '0'],
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
  const { [NOTHING]: nothing, ...commands } = samples
  const measured = Object.entries(commands).map(([name, taken]) => [
    name,
    { milliseconds: spread(taken), more: spread(taken.map((value, round) => value - nothing[round])) },
  ])
  return { nothing: spread(nothing), commands: Object.fromEntries(measured) }
}

function lines({ nothing, commands }) {
  return [
    `Processes of commands; '${NOTHING}' takes ${range(nothing, 1)} ms`,
    ...Object.entries(commands).map(
      ([name, { milliseconds, more }]) =>
        `  ${name.padEnd(16)} ${range(milliseconds, 1)} ms, ${range(more, 1)} ms more`,
    ),
  ]
}

function run(args, env) {
  const begin = performance.now()
  const { status, stderr } = spawnSync(process.execPath, args, { env, encoding: 'utf8' })
  const taken = performance.now() - begin
  assert.equal(status, 0, stderr)
  return taken
}
