import { spawnSync } from 'node:child_process'
import process from 'node:process'

/** Runs a program whose output goes to this one's. If it fails, this process exits with the same status. */
export function run(program, args, options = {}) {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 'inherit', 'inherit'], ...options })
  if (error) console.error(`${program}: ${error.message}`)
  if (status !== 0) process.exit(status ?? 1)
}
