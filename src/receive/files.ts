/**
 * The system calls of a receiver on its own files, each in one place, so that a test can fail or kill each of them. They run beside
 * the thread of the caller, because fsync sleeps and a file server can keep any call waiting. All reject as `node:fs` does.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'

/** Writes at a position. A write that is cut short by a full disk rejects at its second call. */
export async function writeAt(descriptor: number, bytes: Buffer, position: number): Promise<void> {
  let at = 0
  while (at < bytes.length) {
    at += await new Promise<number>((resolve, reject) => {
      fs.write(descriptor, bytes, at, bytes.length - at, position + at, settling(resolve, reject))
    })
  }
}

/** Reads up to `length` bytes; fewer only at the end of the file. */
export async function readAt(descriptor: number, length: number, position: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const count = await new Promise<number>((resolve, reject) => {
      fs.read(descriptor, bytes, filled, length - filled, position + filled, settling(resolve, reject))
    })
    if (count === 0) break
    filled += count
  }
  return bytes.subarray(0, filled)
}

/** Makes contents and size of a file durable. */
export async function syncFile(descriptor: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    fs.fdatasync(descriptor, (error) => (error === null ? resolve() : reject(error)))
  })
}

/** Makes the names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await fs.promises.open(path, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Whether an open file has no name any more. */
export async function isRemoved(descriptor: number): Promise<boolean> {
  const links = await new Promise<number>((resolve, reject) => {
    fs.fstat(descriptor, (error, info) => (error === null ? resolve(info.nlink) : reject(error)))
  })
  return links === 0
}

function settling(resolve: (count: number) => void, reject: (error: Error) => void) {
  return (error: NodeJS.ErrnoException | null, count: number): void => {
    if (error === null) resolve(count)
    else reject(error)
  }
}
