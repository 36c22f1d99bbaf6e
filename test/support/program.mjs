// Shared by the programs in test/programs/: the addon that they run on, and lines for the parent.
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'

import { tryLockSync, unlockSync } from '../../dist/lock.js'

export const addon = createRequire(import.meta.url)('../../binding.cjs')

export const job = JSON.parse(process.argv[2] ?? '{}')

/** A line on standard output, written before anything else happens: a kill right after it cannot lose it. */
export function say(message) {
  const bytes = Buffer.from(`${JSON.stringify(message)}\n`)
  for (let from = 0; from < bytes.length;) {
    try {
      from += fs.writeSync(1, bytes, from)
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error
    }
  }
}

/** An error as lines for the parent show it. */
export function describe(error, FsqError) {
  const { name, code, errno, syscall, message, id } = error
  return {
    name,
    code,
    errno,
    syscall,
    message,
    id,
    typed: error instanceof FsqError,
    cause: error.cause?.code,
  }
}

/** The open files below the directory. */
export function openBelow(directory) {
  return fs
    .readdirSync('/proc/self/fd')
    .flatMap((fd) => {
      try {
        return [fs.readlinkSync(`/proc/self/fd/${fd}`)]
      } catch {
        return []
      }
    })
    .filter((target) => target.startsWith(directory))
}

/** Whether the file has no lock, of either kind. */
export function isFree(file) {
  // Regular files only: a directory cannot be opened for writing, so it has no fcntl lock.
  const isFile = fs.statSync(file).isFile()
  const fd = fs.openSync(
    file,
    (isFile ? fs.constants.O_RDWR : fs.constants.O_RDONLY) | fs.constants.O_NONBLOCK,
  )
  const kinds = isFile ? ['flock', 'fcntl'] : ['flock']
  try {
    return kinds.every((kind) => tryLockSync(fd, { kind }) !== undefined)
  } finally {
    for (const kind of kinds) unlockSync(fd, { kind })
    fs.closeSync(fd)
  }
}

/** The locked files of the queue. */
export function lockedFiles(queuePath) {
  return ['queue', 'tmp', 'done', 'fail'].flatMap((place) =>
    fs
      .readdirSync(path.join(queuePath, place))
      .map((name) => path.join(queuePath, place, name))
      .filter((file) => !isFree(file)),
  )
}

/** Resolves when the file is there; rejects after a generous time. */
export async function appears(file) {
  const deadline = Date.now() + 30_000
  while (!fs.existsSync(file)) {
    if (Date.now() > deadline) throw new Error(`${file} did not appear`)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}

/** Resolves when the condition holds; rejects after a generous time. */
export async function until(what, condition, patience = 30_000) {
  const deadline = Date.now() + patience
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`not so in time: ${what}`)
    globalThis.gc?.()
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
