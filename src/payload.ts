/**
 * What an item can hold, made ready for native code.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import { types, inspect } from 'node:util'

import { PayloadError } from './errors.js'
import type { NativePayload } from './native.js'

/**
 * The contents of an item:
 *
 * - a string, written as UTF-8;
 * - bytes (a Buffer, any other view, or an ArrayBuffer), taken as they are at the call;
 * - `{ json: value }`, written as JSON;
 * - `{ path }`, a regular file, copied;
 * - `null`, for an item that is all in its arguments.
 */
export type Payload =
  | string
  | NodeJS.ArrayBufferView
  | ArrayBuffer
  | SharedArrayBuffer
  | { readonly json: unknown }
  | { readonly path: string | URL }
  | null

/**
 * The payload as native code takes it.
 *
 * @param own - Copy bytes, because they are read after the call returns and the caller may change them meanwhile.
 * @throws {@link PayloadError} if it cannot be the contents of an item.
 */
export function nativePayload(data: Payload, own: boolean): NativePayload {
  if (data === null) return null
  if (typeof data === 'string') return textBytes(data)
  if (typeof data !== 'object') throw unfit(data)
  if (ArrayBuffer.isView(data)) return viewBytes(data, own)
  if (types.isAnyArrayBuffer(data)) return viewBytes(attachedView(data), own)
  if ('json' in data) return jsonBytes(data.json)
  if ('path' in data) return filePath(data.path)
  throw unfit(data)
}

function textBytes(text: string): Uint8Array {
  // Buffer.from would write something else in its place, and say nothing.
  if (!text.isWellFormed()) {
    throw new PayloadError(
      'The payload is a string with a lone surrogate, half of a character. Cut texts between characters, or pass bytes',
    )
  }
  return Buffer.from(text, 'utf8')
}

function viewBytes(view: NodeJS.ArrayBufferView, own: boolean): Uint8Array {
  // A view whose buffer has been transferred is empty, and so would be the item.
  if (view.byteLength === 0) attachedView(view.buffer)
  const bytes =
    view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
  return own ? Buffer.from(bytes) : bytes
}

function attachedView(buffer: ArrayBufferLike): Uint8Array {
  try {
    return new Uint8Array(buffer)
  } catch (cause) {
    throw new PayloadError('The payload is in a buffer that has been transferred away. Pass a copy of it', {
      cause,
    })
  }
}

function jsonBytes(value: unknown): Uint8Array {
  const text = jsonText(value)
  if (text !== undefined) return Buffer.from(text, 'utf8')
  throw new PayloadError(
    `The payload cannot be written as JSON: there is no JSON for ${inspect(value, { depth: 0 })}`,
  )
}

// Its type in TypeScript forgets that there is no JSON for undefined, functions and symbols.
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

function unfit(data: unknown): PayloadError {
  return new PayloadError(
    `The payload is ${inspect(data, { depth: 0, maxStringLength: 80 })}, expected a string, bytes, { json }, { path }, ` +
      'or null for an item without contents',
  )
}
