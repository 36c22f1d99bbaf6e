/**
 * The errors of a receiver as its callers see them: a code, and a text without paths and contents.
 *
 * @module
 */
import {
  DiskFullError,
  EncodingError,
  FileSystemError,
  FsqError,
  NotAQueueError,
  OtherContents,
  OtherSize,
  PermissionError,
  QueueMissingError,
  QueueNameError,
  ReadOnlyError,
  TriggerError,
} from '../index.js'

/** The codes of JSON-RPC. */
export const Code = {
  parse: -32700,
  request: -32600,
  method: -32601,
  params: -32602,
  server: -32603,
} as const
export type Code = (typeof Code)[keyof typeof Code]

/** The text of an error that will not pass begins with this, so that a sender does not repeat the request. */
export const REFUSED = 'Refused: '
const SERVER = 'Server error: '

/** A request that is answered with an error. */
export class Fault extends Error {
  readonly code: Code

  constructor(code: Code, message: string) {
    super(message)
    this.code = code
  }
}

export function invalidParameters(): Fault {
  return new Fault(Code.params, 'Invalid parameters.')
}

/** A fault that may pass. */
export function serverFault(text: string): Fault {
  return new Fault(Code.server, `${SERVER}${text}`)
}

/** A fault that will not pass. */
export function refusal(text: string, code: Code = Code.server): Fault {
  return new Fault(code, `${REFUSED}${text}`)
}

/** What a caller learns of an error. */
export function faultOf(error: unknown): Fault {
  if (error instanceof Fault) return error
  if (error instanceof OtherContents) return refusal('an item of this name is here with other contents')
  if (error instanceof OtherSize) return serverFault('the contents do not have the size that was said')
  if (error instanceof EncodingError) return refusal('this is not the name of an item', Code.params)
  if (error instanceof QueueNameError || error instanceof QueueMissingError)
    return serverFault('no such queue')
  if (error instanceof NotAQueueError) return serverFault('the queue is broken')
  // Calls of node:fs reject by codes only.
  const { code = '' } = error instanceof Error ? (error as NodeJS.ErrnoException) : {}
  if (error instanceof DiskFullError || ['ENOSPC', 'EDQUOT'].includes(code))
    return serverFault('the disk is full')
  if (
    error instanceof PermissionError ||
    error instanceof ReadOnlyError ||
    ['EACCES', 'EPERM', 'EROFS'].includes(code)
  )
    return serverFault('permission denied')
  if (error instanceof TriggerError) return serverFault('the trigger cannot be pulled, or has no listener')
  return serverFault('the request could not be carried out')
}

/** What a log may have of an error: neither paths nor contents. */
export function briefly(error: unknown): string {
  if (error instanceof FileSystemError) {
    const { errno, syscall } = error
    return [error.code, syscall, errno].filter((part) => part !== undefined).join(' ')
  }
  if (error instanceof FsqError) return error.code
  return error instanceof Error ? error.name : typeof error
}
