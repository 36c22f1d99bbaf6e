/** Runs the checks of main.mjs and their programs, and prints a line for each. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import process from 'node:process'

export const ROOT = resolve(import.meta.dirname, '../..')
export const TOOLS = join(import.meta.dirname, 'node_modules')
export const tally = { passed: 0, failed: 0, skipped: 0 }

/** Runs one check. It fails by throwing, and skips itself by returning the reason. */
export async function check(name, body) {
  try {
    const skipped = await body()
    tally[skipped ? 'skipped' : 'passed']++
    console.log(skipped ? `SKIPPED ${name}: ${skipped}` : `ok      ${name}`)
  } catch (error) {
    tally.failed++
    process.exitCode = 1
    console.log(`FAILED  ${name}\n${error instanceof Error ? error.message : error}`)
  }
}

/** Returns the output of a program. Throws with the whole output if the program fails, unless `fails` is set. */
export function run(program, args, { fails = false, ...options } = {}) {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', ...options })
  if (error) throw error
  if ((status !== 0) !== fails)
    throw new Error(`${program} ${args.join(' ')} ended with ${status}\n${stdout}${stderr}`)
  return stdout + stderr
}

/** The path of a tool, or undefined if its package does not support this machine. */
export function tool(path) {
  const file = join(TOOLS, path)
  return existsSync(file) ? file : undefined
}

export function contains(text, pattern) {
  if (!pattern.test(text)) throw new Error(`expected ${pattern} in:\n${text}`)
}
