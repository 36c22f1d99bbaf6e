import { spawn } from 'node:child_process'
import process from 'node:process'

const SILENCE_MS = 60_000

const running = new Map()

/**
 * Starts a program in a process group of its own, which outlives neither its end nor ours. What it says on stderr is
 * shown. `endSignal` ends it.
 */
export function start(program, args, { endSignal = 'SIGKILL', ...options } = {}) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options, detached: true })
  running.set(child, endSignal)
  child.once('exit', () => running.delete(child))
  return child
}

/** Resolves with what the program printed; rejects if it did not end well. */
export async function output(program, args) {
  const child = start(program, args)
  const chunks = []
  child.stdout.on('data', (chunk) => chunks.push(chunk))
  await new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => {
      if (code === 0) resolve()
      else reject(new Error(`${program} ${args.join(' ')}: ended with ${signal ?? code}`))
    })
  })
  return chunks.join('')
}

/** Resolves when the program has printed something with `text` in it; rejects if it ends before, or is silent for long. */
export async function printed(child, text) {
  let all = ''
  let timer
  await new Promise((resolve, reject) => {
    const fail = (why) => reject(new Error(`${child.spawnfile} ${why}:\n${all}`))
    timer = setTimeout(fail, SILENCE_MS, `has not printed '${text}'`)
    child.stdout.on('data', (chunk) => {
      all += chunk
      if (all.includes(text)) resolve()
    })
    child.once('error', reject)
    child.once('exit', () => fail('has ended'))
  }).finally(() => clearTimeout(timer))
}

/** Ends one that was started, and all that it has started; resolves when it has ended. */
export async function end(child) {
  if (!running.has(child)) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  kill(child)
  await ended
}

/** Ends all of them at once. */
export function endAll() {
  for (const child of running.keys()) kill(child)
}

function kill(child) {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, running.get(child))
  } catch {
    // It has ended already.
  }
}
