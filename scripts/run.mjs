import { spawnSync } from 'node:child_process'
import process from 'node:process'

/** Runs a program with this one's output; where it fails, this one ends as it did. */
export function run(program, args, options = {}) {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'], ...options })
  if (error) console.error(`${program}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}
