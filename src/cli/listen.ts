/**
 * Where `fsq jsonrpcd` listens.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { once } from 'node:events'
import fs from 'node:fs'
import { type ListenOptions, type Server, connect } from 'node:net'
import path from 'node:path'

import { FsqError } from '../errors/classes.js'
import { codeOf } from '../errors/errno.js'
import { lock } from '../lock.js'
import { MOST_SOCKET_PATH } from '../socket-path.js'

const SOCKET_MODE = 0o660
const BACKLOG = 511
/** The lock is held for milliseconds. */
const LOCK_MS = 10_000

/**
 * Listens. Takes the place of a unix socket that a killed receiver has left.
 *
 * @throws The error of a system call.
 */
export async function listen(
  server: Server,
  place: Pick<ListenOptions, 'host' | 'port' | 'path'>,
): Promise<void> {
  const { path: file } = place
  if (file === undefined) return bind(server, place)
  // Node 20 cuts a longer path off, and listens there.
  if (Buffer.byteLength(file) > MOST_SOCKET_PATH)
    throw new FsqError(`the path has more than the ${MOST_SOCKET_PATH} bytes of a unix socket`)
  const directory = fs.openSync(path.dirname(file), fs.constants.O_RDONLY | fs.constants.O_DIRECTORY)
  try {
    // Otherwise another receiver could bind its socket between the look and the unlink, which would remove that one.
    await lock(directory, { timeout: LOCK_MS })
    if (await isLeft(file)) fs.unlinkSync(file)
    await bind(server, place)
    fs.chmodSync(file, SOCKET_MODE)
  } catch (error) {
    server.close()
    throw error
  } finally {
    fs.closeSync(directory)
  }
}

async function bind(server: Server, place: ListenOptions): Promise<void> {
  const listening = once(server, 'listening')
  server.listen({ ...place, backlog: BACKLOG })
  await listening
}

/** Whether a path is a socket to which no process listens any more: a receiver that was killed leaves it. */
async function isLeft(file: string): Promise<boolean> {
  if (fs.lstatSync(file, { throwIfNoEntry: false })?.isSocket() !== true) return false
  return new Promise((resolve) => {
    const socket = connect(file, () => {
      socket.destroy()
      resolve(false)
    })
    socket.once('error', (error) => resolve(codeOf(error) === 'ECONNREFUSED'))
  })
}
