/**
 * The ids under which a target knows items.
 *
 *     5f0c2ab91e77d340-8a1b…-3k9f2-1xq0w5z…
 *     queue            key   inode birth
 *
 * - The random id of the queue, because two machines can have queues, hosts and processes of the same names.
 * - A hash of the key, because a file system may give an inode to the next file at once, within one tick of its clock. The key itself can be
 *   longer than an id may be, and need not be ASCII.
 * - The inode and the birth of the file, because a key can come again: two containers can have one host name and the process number 1.
 *
 * A rename changes none of them. So the item keeps its id in done/ and fail/, and when it is retried from there.
 *
 * @module
 */
import { createHash, randomBytes } from 'node:crypto'
import type { BigIntStats } from 'node:fs'
import fs from 'node:fs/promises'
import path from 'node:path'
import { setTimeout as later } from 'node:timers/promises'

import { FsqError } from '../errors/classes.js'
import { codeOf } from '../errors/errno.js'
import type { RawName } from '../name/charset.js'

const FILE = 'id'
const HASH_DIGITS = 24
const BASE = 36
// Longer than a tick of the clock by which the kernel stamps files.
const TICKS_MS = 20

/** What the file `forwarded/id` says. */
export interface QueueIdentity {
  /** 16 hex digits. */
  readonly id: string
  /** Whether the file system keeps when a file was made. Where it does not, Node may answer the time of the last change, and a rename changes that. */
  readonly birth: boolean
}

/** The id of an item. */
export function itemIdentity(queue: QueueIdentity, key: RawName, { ino, birthtimeNs }: BigIntStats): string {
  const hash = createHash('sha256').update(key, 'latin1').digest('hex').slice(0, HASH_DIGITS)
  const birth = queue.birth ? `-${birthtimeNs.toString(BASE)}` : ''
  return `${queue.id}-${hash}-${ino.toString(BASE)}${birth}`
}

/**
 * The identity of a queue, made at the first call and the same ever after. Durable when this resolves, except for the entry in the directory.
 *
 * @param directory - `forwarded/` of the queue.
 * @throws {@link FsqError}, or as `node:fs`.
 */
export async function queueIdentity(directory: string, mode: number): Promise<QueueIdentity> {
  const file = path.join(directory, FILE)
  return (await readIdentity(file)) ?? (await makeIdentity(directory, file, mode))
}

async function readIdentity(file: string): Promise<QueueIdentity | undefined> {
  let text: string
  try {
    text = await fs.readFile(file, 'utf8')
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined
    throw error
  }
  const identity = parsed(text)
  if (identity !== undefined) return identity
  throw new FsqError(`${file} does not tell the id of the queue`, {
    path: file,
    advice:
      'Restore it, or remove it. Without it, items get new ids, and those that were put before may arrive twice',
  })
}

async function makeIdentity(directory: string, file: string, mode: number): Promise<QueueIdentity> {
  const hidden = path.join(directory, `.${FILE}.${randomBytes(8).toString('hex')}`)
  const handle = await fs.open(hidden, 'wx', mode)
  try {
    await later(TICKS_MS)
    await handle.chmod(mode)
    const { birthtimeNs, ctimeNs } = await handle.stat({ bigint: true })
    const birth = birthtimeNs > 0n && birthtimeNs < ctimeNs
    const identity = { id: randomBytes(8).toString('hex'), birth }
    await handle.writeFile(`${JSON.stringify(identity)}\n`)
    await handle.sync()
    await fs.link(hidden, file)
    return identity
  } catch (error) {
    // Another forwarder was faster.
    const made = codeOf(error) === 'EEXIST' ? await readIdentity(file) : undefined
    if (made === undefined) throw error
    return made
  } finally {
    await handle.close()
    await fs.rm(hidden, { force: true })
  }
}

function parsed(text: string): QueueIdentity | undefined {
  try {
    const { id, birth } = JSON.parse(text) as Partial<Record<string, unknown>>
    const isWhole = typeof id === 'string' && /^[0-9a-f]{16}$/.test(id) && typeof birth === 'boolean'
    return isWhole ? { id, birth } : undefined
  } catch {
    return undefined
  }
}
