import { spawnSync } from 'node:child_process'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import process from 'node:process'

import { end, output, printed, start } from './children.mjs'

const ROOT = resolve(import.meta.dirname, '../..')
const PROGRAM = join(ROOT, 'build-floor', 'floor')

/** Builds the floor (bench/floor), unless it is current. */
export function buildFloor() {
  const cmakeJs = createRequire(import.meta.url).resolve('cmake-js/bin/cmake-js')
  const { status, error, stdout, stderr } = spawnSync(
    process.execPath,
    [cmakeJs, 'build', '--directory', join(ROOT, 'bench', 'floor'), '--out', join(ROOT, 'build-floor')],
    { cwd: ROOT, encoding: 'utf8' },
  )
  if (status === 0) return
  throw new Error(
    `The floor cannot be built; it needs cmake and a C++20 compiler:\n${error ?? stdout + stderr}`,
  )
}

/**
 * Lets the floor add items to the queue in this folder.
 *
 * @param order - `count`, `size` in bytes, `durable`; `group`: items whose contents are made durable together;
 * `batch`: items after which the directory is; `threads`; `delay` in seconds; `first`: the number of the first item.
 * @returns `{ milliseconds }`, measured inside the floor.
 */
export async function floorEnqueue(folder, order) {
  return run('enqueue', folder, order)
}

/**
 * Lets the floor drain the queue in this folder.
 *
 * @param order - `processes`; `steps`: computed for each item; `rename`: items are claimed by renaming them.
 * @returns `{ milliseconds, firstMs, taken, bytes, numbers }` of all processes together; `numbers` is the sum of the
 * numbers in the names.
 */
export async function floorDrain(folder, order = {}) {
  return run('drain', folder, order)
}

/** How many steps of a handler take this many microseconds here. */
export async function stepsFor(microseconds) {
  return JSON.parse(await output(PROGRAM, ['calibrate', String(microseconds)])).steps
}

/** Lets the floor lock all items. They are unlocked when the returned function resolves. */
export async function floorHold(folder) {
  const child = start(PROGRAM, ['hold', folder])
  await printed(child, 'held')
  return () => end(child)
}

async function run(command, folder, order) {
  const values = Object.entries(order).map(([key, value]) => `${key}=${Number(value)}`)
  return JSON.parse(await output(PROGRAM, [command, folder, ...values]))
}
