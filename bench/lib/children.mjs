import { spawn } from 'node:child_process'

const SILENCE_MS = 60_000

const running = new Map()

/**
 * Starts a program that ends with this process at the latest; `endSignal` ends it. What it says on stderr is shown.
 *
 * Not in a session of its own: Linux shares the CPUs out by the session, so several would get more of a busy machine than
 * the processes of the floor, which are in one.
 */
export function start(program, args, { endSignal = 'SIGKILL', ...options } = {}) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options })
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

/** Ends one that was started; resolves when it has ended. */
export async function end(child) {
  if (!running.has(child)) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill(running.get(child))
  await ended
}

/** Ends all of them at once. */
export function endAll() {
  for (const [child, endSignal] of running) child.kill(endSignal)
}
