/**
 * The contents that an item can have, and how native code gets them.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import path from 'node:path'
import type { Readable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { types, inspect } from 'node:util'

import type { BufferPool } from './buffer-pool.js'
import { LARGE, LargeContents, isFixed } from './large.js'
import { PayloadError } from '../errors/classes.js'
import type { NativePayload } from '../addon/native.js'
import {
  IterableSource,
  NodeSource,
  PipeSource,
  type Source,
  type WebBlob,
  WebSource,
  type WebStream,
} from './source.js'

/** Bytes: a typed array, any other view, or an ArrayBuffer. */
export type Bytes = NodeJS.ArrayBufferView | ArrayBuffer | SharedArrayBuffer

/**
 * The contents of an item:
 *
 * - a string, written as UTF-8;
 * - bytes (a Buffer, any other view, or an ArrayBuffer). Up to 65,536 bytes are copied at the call. More are not copied: do not change
 *   them until the enqueue has settled, as with `node:fs`. If their buffer is transferred away before, the enqueue can reject with a
 *   {@link PayloadError};
 * - `{ json: value }`, written as JSON;
 * - a Blob;
 * - a Readable, a Web ReadableStream or any other AsyncIterable of strings and bytes, read once and to its end, in constant
 *   memory. If it fails, nothing is enqueued. If the enqueue fails, it is destroyed, cancelled or returned, as by leaving a
 *   `for await`;
 * - `{ path }`, a regular file, copied by the kernel where that is possible;
 * - `{ fd }`, an open file, from its position to its end. Keep it open until the enqueue has resolved; the queue never closes
 *   it. The position of a regular file does not move. A pipe, a socket or a terminal is read until its end;
 * - `null`, no contents: the arguments say all.
 */
export type Payload =
  | string
  | Bytes
  | WebBlob
  | AsyncIterable<string | Bytes>
  | WebStream
  | { readonly json: unknown }
  | { readonly path: string | URL }
  | { readonly fd: number }
  | null

const MOST_DESCRIPTORS = 2 ** 31
const KINDS = ['json', 'path', 'fd'] as const

/**
 * Turns data into a payload for native code, or into the source from which it must be read first.
 *
 * @param pool - Bytes are copied into its memory, for native code that reads them after the call has returned, unless they are large:
 * the caller must not change those. Default: no copy, and nothing is large.
 * @throws {@link PayloadError} if the data cannot be the contents of an item.
 */
export function readPayload(data: Payload): NativePayload | Source
export function readPayload(
  data: Payload,
  pool: BufferPool | undefined,
): NativePayload | LargeContents | Source
export function readPayload(data: Payload, pool?: BufferPool): NativePayload | LargeContents | Source {
  if (data === null) return null
  if (typeof data === 'string') return textBytes(data, pool)
  if (typeof data !== 'object') throw unfit(data)
  if (ArrayBuffer.isView(data) || types.isAnyArrayBuffer(data)) {
    const bytes = attachedBytes(data)
    if (pool === undefined) return bytes
    // A buffer that is made smaller, and large again, has zeros and the same size. Only a copy is sure to be the item.
    return bytes.length > LARGE && isFixed(bytes.buffer) ? new LargeContents(bytes) : pool.copy(bytes)
  }
  // Sources come before { path } and { fd }: the streams of node:fs have these properties, too.
  const source = sourceOf(data)
  if (source !== undefined) return source
  if (KINDS.filter((kind) => kind in data).length > 1) {
    throw new PayloadError(
      `The payload is ${inspect(data, { depth: 0, maxStringLength: 80 })}, which has more than one of json, ` +
        'path and fd',
      { advice: 'Pass one of { json }, { path } and { fd }' },
    )
  }
  if ('json' in data) return encoded(jsonOf(data.json), pool)
  if ('path' in data) return filePath(data.path)
  if ('fd' in data) return openFile(data.fd)
  throw unfit(data)
}

// Told by their methods, as in Node, and not by instanceof: streams and Blobs come from many packages and realms.
function sourceOf(data: object): Source | undefined {
  const { getReader, stream, arrayBuffer, pipe, destroy, [Symbol.asyncIterator]: iterator } = data as Duck
  if (typeof getReader === 'function') return new WebSource(data as WebStream)
  if (typeof stream === 'function' && typeof arrayBuffer === 'function') {
    return new WebSource(blobStream(data as WebBlob))
  }
  const isStream = typeof pipe === 'function'
  if (typeof iterator === 'function') {
    return isStream && typeof destroy === 'function'
      ? new NodeSource(data as Readable)
      : new IterableSource(data as AsyncIterable<unknown>)
  }
  // A stream without an iterator is only writable.
  if (isStream) throw unfit(data)
  return undefined
}

function blobStream(blob: WebBlob): WebStream {
  try {
    return blob.stream()
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new PayloadError(`The Blob of the payload cannot be read: ${reason}`, { cause })
  }
}

type Duck = Readonly<
  Record<'getReader' | 'stream' | 'arrayBuffer' | 'pipe' | 'destroy' | typeof Symbol.asyncIterator, unknown>
>

function textBytes(text: string, pool: BufferPool | undefined): Uint8Array | LargeContents {
  // Buffer.from would silently write a replacement character.
  if (!text.isWellFormed()) {
    throw new PayloadError('The payload is a string with a lone surrogate, half of a character', {
      advice: 'Cut texts between characters, or pass bytes',
    })
  }
  return encoded(text, pool)
}

function encoded(text: string, pool: BufferPool | undefined): Uint8Array | LargeContents {
  if (pool === undefined) return Buffer.from(text, 'utf8')
  return text.length > LARGE ? new LargeContents(text) : pool.encode(text)
}

/**
 * Returns a view of the bytes.
 *
 * @throws {@link PayloadError} if their buffer has been transferred away.
 */
export function attachedBytes(bytes: Bytes): Uint8Array {
  if (!ArrayBuffer.isView(bytes)) return attachedView(bytes)
  // A view of a transferred buffer has length 0, and would silently make an empty item.
  if (bytes.byteLength === 0) attachedView(bytes.buffer)
  return bytes instanceof Uint8Array
    ? bytes
    : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function attachedView(buffer: ArrayBufferLike): Uint8Array {
  try {
    return new Uint8Array(buffer)
  } catch (cause) {
    throw new PayloadError('The payload is in a buffer that has been transferred away', {
      cause,
      advice: 'Pass a copy of it',
    })
  }
}

/**
 * A value as JSON.
 *
 * @throws {@link PayloadError} if there is no JSON for it.
 */
export function jsonOf(value: unknown): string {
  const text = jsonText(value)
  if (text !== undefined) return text
  throw new PayloadError(
    `The payload cannot be written as JSON: there is no JSON for ${inspect(value, { depth: 0 })}`,
  )
}

// JSON.stringify returns undefined for undefined, functions and symbols, which its TypeScript type omits.
function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new PayloadError(`The payload cannot be written as JSON: ${reason}`, { cause })
  }
}

function filePath(given: string | URL): string {
  const text: unknown = given instanceof URL ? urlPath(given) : given
  if (typeof text !== 'string' || text === '' || text.includes('\0')) {
    throw new PayloadError(`The path of the payload is ${inspect(text)}, expected the path of a regular file`)
  }
  return path.resolve(text)
}

function urlPath(url: URL): string {
  try {
    return fileURLToPath(url)
  } catch (cause) {
    throw new PayloadError(
      `The path of the payload is ${inspect(url.href)}, expected a file: URL of this host`,
      { cause },
    )
  }
}

function openFile(given: unknown): number | Source {
  if (typeof given !== 'number' || !Number.isInteger(given) || given < 0 || given >= MOST_DESCRIPTORS) {
    throw new PayloadError(
      `The descriptor of the payload is ${inspect(given, { depth: 0 })}, expected the number of an open file`,
    )
  }
  const stats = statDescriptor(given)
  if (stats.isDirectory()) {
    throw new PayloadError(
      `The descriptor of the payload, ${given}, is that of a directory, expected a file or a pipe`,
    )
  }
  return stats.isFile() ? given : new PipeSource(given)
}

function statDescriptor(descriptor: number): fs.Stats {
  try {
    return fs.fstatSync(descriptor)
  } catch (cause) {
    throw new PayloadError(
      `The descriptor of the payload, ${descriptor}, cannot be read: ${(cause as Error).message}`,
      { cause, advice: 'Keep the file open until the item has been enqueued' },
    )
  }
}

function unfit(data: unknown): PayloadError {
  return new PayloadError(
    `The payload is ${inspect(data, { depth: 0, maxStringLength: 80 })}, expected a string, bytes, a Blob, a ` +
      'readable stream or another AsyncIterable, { json }, { path }, { fd }, or null for an item without contents',
    { advice: adviceOnUnfit(data) },
  )
}

function adviceOnUnfit(data: unknown): string | undefined {
  if (types.isPromise(data)) return 'Await the promise, and pass its value'
  const isValue =
    typeof data === 'object'
      ? !('pipe' in (data ?? {}))
      : typeof data === 'number' || typeof data === 'boolean'
  return isValue ? 'To write a value as JSON, pass { json: value }' : undefined
}
