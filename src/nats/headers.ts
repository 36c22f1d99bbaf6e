/**
 * The headers that carry what an item has besides its contents.
 *
 * | header | |
 * | --- | --- |
 * | `Nats-Msg-Id` | the id, by which the server recognises a repeat |
 * | `Fsq-Args` | the arguments, a JSON array in ASCII |
 * | `Fsq-Args-Raw` | only if they are not UTF-8: byte for byte, in percent encoding, with commas between them |
 * | `Fsq-Enqueued`, `Fsq-Tries` | when the item was enqueued, and how often it was tried, in the queue that it comes from |
 * | `Fsq-Object`, `Fsq-Object-Size`, `Fsq-Object-Digest` | only if the contents are in an object store: the bucket, and what the object has to have. The name of the object is the id |
 *
 * @module
 */
import { Buffer, isUtf8 } from 'node:buffer'

import type { OutgoingItem } from '../forward/sink.js'

export const MESSAGE_ID = 'Nats-Msg-Id'
const ARGS = 'Fsq-Args'
const RAW_ARGS = 'Fsq-Args-Raw'
const ENQUEUED = 'Fsq-Enqueued'
const TRIES = 'Fsq-Tries'
const OBJECT = 'Fsq-Object'
const OBJECT_SIZE = 'Fsq-Object-Size'
const OBJECT_DIGEST = 'Fsq-Object-Digest'

// The rules of Delivery.id, without the colon, which ids of this package never have.
const ID = /^[A-Za-z0-9._-]{1,200}$/

/** Contents that are in an object store. */
export interface StoredObject {
  readonly bucket: string
  readonly size: number
  /** As the object store has it: `SHA-256=…`, base64url. */
  readonly digest: string
}

/** Headers by name. All names and values are ASCII, so their length is their size in bytes. */
export type Headers = Readonly<Record<string, string>>

/** The part of a header object of the client that is read here. */
export interface ReadableHeaders {
  get(name: string): string
  has(name: string): boolean
}

/** The headers of an item. */
export function headersOf(item: OutgoingItem): Headers {
  const isText = item.argBytes.every((bytes) => isUtf8(bytes))
  return {
    [MESSAGE_ID]: item.id,
    [ARGS]: asciiJson(item.args),
    ...(!isText && { [RAW_ARGS]: item.argBytes.map(percentEncoded).join(',') }),
    [ENQUEUED]: item.enqueuedAt.toISOString(),
    ...(item.tries > 0 && { [TRIES]: String(item.tries) }),
  }
}

export function headersOfObject({ bucket, size, digest }: StoredObject): Headers {
  return { [OBJECT]: bucket, [OBJECT_SIZE]: String(size), [OBJECT_DIGEST]: digest }
}

/** How many bytes headers take in a message. */
export function sizeOf(headers: Headers): number {
  let size = 'NATS/1.0\r\n\r\n'.length
  for (const [name, value] of Object.entries(headers)) size += name.length + value.length + ': \r\n'.length
  return size
}

/** The id of a message of a forwarder; `undefined`: it is not of a forwarder. */
export function idIn(headers: ReadableHeaders | undefined): string | undefined {
  if (headers === undefined || !headers.has(ENQUEUED)) return undefined
  const id = headers.get(MESSAGE_ID)
  return ID.test(id) ? id : undefined
}

/** The arguments; `undefined`: the message has none. */
export function argsIn(headers: ReadableHeaders | undefined): readonly string[] | undefined {
  const value = headers?.get(ARGS)
  if (value === undefined || value === '') return undefined
  try {
    const args: unknown = JSON.parse(value)
    if (!Array.isArray(args)) return undefined
    return args.map((arg) => (typeof arg === 'string' ? arg : JSON.stringify(arg)))
  } catch {
    return undefined
  }
}

/** The arguments byte for byte, if they are not UTF-8. */
export function argBytesIn(headers: ReadableHeaders | undefined): readonly Uint8Array[] | undefined {
  if (headers?.has(RAW_ARGS) !== true) return undefined
  return headers.get(RAW_ARGS).split(',').map(percentDecoded)
}

/** When the item was enqueued in the queue that it comes from. */
export function enqueuedIn(headers: ReadableHeaders | undefined): Date | undefined {
  if (headers?.has(ENQUEUED) !== true) return undefined
  const date = new Date(headers.get(ENQUEUED))
  return Number.isNaN(date.getTime()) ? undefined : date
}

/** The contents in an object store, if they are there. */
export function objectIn(headers: ReadableHeaders | undefined): StoredObject | undefined {
  if (headers?.has(OBJECT) !== true) return undefined
  return {
    bucket: headers.get(OBJECT),
    size: Number(headers.get(OBJECT_SIZE)),
    digest: headers.get(OBJECT_DIGEST),
  }
}

/** JSON in ASCII: not every client reads headers as UTF-8. */
function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[\u007f-\uffff]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function percentEncoded(bytes: Uint8Array): string {
  return Buffer.from(bytes)
    .toString('latin1')
    .replace(
      /[^A-Za-z0-9._~-]/g,
      (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
    )
}

function percentDecoded(text: string): Uint8Array {
  const bytes = text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1')
}
