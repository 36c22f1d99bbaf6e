import { spawn } from 'node:child_process'

export const SILENCE_MS = 60_000

const running = new Map()

/**
 * Starts a program that ends with this process at the latest; `endSignal` ends it. Its stderr is shown.
 *
 * It does not get a session of its own: Linux distributes the CPUs by session, so several sessions would get more of
 * a busy machine than the processes of the floor, which share one.
 */
export function start(program, args, { endSignal = 'SIGKILL', ...options } = {}) {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'], ...options })
  running.set(child, endSignal)
  child.once('exit', () => running.delete(child))
  return child
}

/** Resolves with the output of the program; rejects if the program fails. */
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

/**
 * Resolves when the program has printed something that contains `text`; rejects if it ends first, or prints nothing
 * for a long time.
 */
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

/** Ends a started program; resolves when it has ended. */
export async function end(child) {
  if (!running.has(child)) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill(running.get(child))
  await ended
}

/** Ends all started programs at once. */
export function endAll() {
  for (const [child, endSignal] of running) child.kill(endSignal)
}
