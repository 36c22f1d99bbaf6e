/**
 * Contents that are too large for a message: they go through an object store, a chunk at a time.
 *
 * @module
 */
import { createHash } from 'node:crypto'
import { ReadableStream } from 'node:stream/web'
import { setTimeout as later } from 'node:timers/promises'

import type { ObjectStore } from '@nats-io/obj'

import type { OutgoingItem } from '../forward/sink.js'
import { NatsError } from '../index.js'
import type { Connection, Session } from './connection.js'
import { isError, natsError } from './errors.js'
import type { StoredObject } from './headers.js'
import { loadObjectStores } from './peers.js'

// An object of an earlier put is used again if it is not older. It must not expire before its message.
const FRESH_MS = 3_600_000
// A replica of the bucket may answer that has not got a chunk yet.
const CHUNK_TRIES = 5
const CHUNK_PAUSE = 100

/** An object that an item's message can refer to. */
export interface Uploaded extends StoredObject {
  /** The object was removed before, so a receiver has been done with it. */
  readonly wasRemoved: boolean
}

/**
 * Puts the contents of an item into a bucket, unless an earlier put has done so.
 *
 * @throws `NatsError`; an error of reading the item.
 */
export async function upload(session: Session, bucket: string, item: OutgoingItem): Promise<Uploaded> {
  const doing = `Putting the contents into the object store ${bucket}`
  try {
    const store = await open(session, bucket)
    const before = await store.info(item.id)
    const wasRemoved = before?.deleted === true
    if (before !== null && !before.deleted && before.size === item.size && isFresh(before.mtime))
      return { bucket, size: before.size, digest: before.digest, wasRemoved }
    const info = await store.put({ name: item.id }, ReadableStream.from(item.stream()))
    if (info.size !== item.size)
      throw new NatsError(`${doing} stored ${info.size} of ${item.size} bytes`, 'other')
    return { bucket, size: info.size, digest: info.digest, wasRemoved }
  } catch (error) {
    throw isOfClient(error) ? natsError(error, doing) : error
  }
}

/** Removes an object. */
export async function remove(session: Session, bucket: string, name: string): Promise<void> {
  try {
    const store = await open(session, bucket)
    await store.delete(name)
  } catch (error) {
    throw natsError(error, `Removing an object from the object store ${bucket}`)
  }
}

/**
 * Reads an object, one chunk for each request: the object store of the client would read ahead without limit, and needs the right to create
 * consumers.
 *
 * @throws `NatsError`: `missing` if the object is not there.
 */
export async function* download(
  connection: Connection,
  name: string,
  { bucket, size, digest }: StoredObject,
): AsyncGenerator<Uint8Array> {
  const doing = `Reading the object ${name} of the object store ${bucket}`
  const nuid = await nuidOf(connection.demand(), bucket, name, doing)
  const hash = createHash('sha256')
  let left = size
  for (let next = 1; left > 0;) {
    const chunk = await chunkFrom(connection, bucket, nuid, next, doing)
    next = chunk.seq + 1
    left -= chunk.data.length
    hash.update(chunk.data)
    yield chunk.data
  }
  const found = `SHA-256=${hash.digest('base64url')}`
  if (withoutPadding(digest) !== found)
    throw new NatsError(`${doing} gave other contents than were put: ${found} instead of ${digest}`, 'other')
}

async function nuidOf(session: Session, bucket: string, name: string, doing: string): Promise<string> {
  try {
    const store = await open(session, bucket)
    const info = await store.info(name)
    if (info === null || info.deleted)
      throw new NatsError(`${doing} has failed: it was removed or has expired`, 'missing', {
        advice: 'Give the bucket a ttl that is longer than max_age of the stream',
      })
    return info.nuid
  } catch (error) {
    throw natsError(error, doing)
  }
}

async function chunkFrom(
  connection: Connection,
  bucket: string,
  nuid: string,
  seq: number,
  doing: string,
): Promise<{ readonly seq: number; readonly data: Uint8Array }> {
  const query = { seq, next_by_subj: `$O.${bucket}.C.${nuid}` }
  for (let tries = 1; ; tries++) {
    try {
      const chunk = await connection.demand().jsm.direct.getMessage(`OBJ_${bucket}`, query)
      if (chunk !== null) return chunk
    } catch (error) {
      if (tries === CHUNK_TRIES) throw natsError(error, doing)
    }
    if (tries === CHUNK_TRIES) throw new NatsError(`${doing} has failed: a part of it is missing`, 'missing')
    await later(CHUNK_PAUSE * tries)
  }
}

async function open(session: Session, bucket: string): Promise<ObjectStore> {
  const { Objm } = await loadObjectStores()
  return new Objm(session.js).open(bucket, false)
}

function isFresh(mtime: string): boolean {
  return Math.abs(Date.now() - Date.parse(mtime)) < FRESH_MS
}

/** The errors of reading an item have a code of this package or of a system call. */
function isOfClient(error: unknown): boolean {
  return !isError(error) || typeof (error as NodeJS.ErrnoException).code !== 'string'
}

function withoutPadding(digest: string): string {
  return digest.replace(/=+$/, '')
}
