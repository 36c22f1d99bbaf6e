/**
 * What the log of an item keeps of an error. Any value can be thrown, and its parts can be anything, too.
 *
 * @module
 */
import { inspect } from 'node:util'

import type { LoggedError } from './log.js'

const LONGEST_MESSAGE = 2000
const LONGEST_STACK = 6000

/** Never throws. */
export function loggedError(error: unknown): LoggedError {
  try {
    return error instanceof Error || isLikeError(error) ? partsOf(error) : valueOf(error)
  } catch {
    return { name: 'Error', message: 'an error that cannot be read' }
  }
}

/** An error of another realm is no instance of this one's Error. */
function isLikeError(value: unknown): value is Error {
  return (
    typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string'
  )
}

function partsOf(error: Error): LoggedError {
  const { name, message, stack, code } = error as Partial<
    Record<'name' | 'message' | 'stack' | 'code', unknown>
  >
  return {
    name: typeof name === 'string' ? short(name, LONGEST_MESSAGE) : 'Error',
    message: short(String(message), LONGEST_MESSAGE),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
    ...(typeof stack === 'string' ? { stack: short(stack, LONGEST_STACK) } : {}),
  }
}

function valueOf(value: unknown): LoggedError {
  return {
    name: typeof value,
    message: short(typeof value === 'string' ? value : inspect(value), LONGEST_MESSAGE),
  }
}

function short(text: string, longest: number): string {
  return text.length <= longest ? text : `${text.slice(0, longest).toWellFormed()}…`
}
