/**
 * Why the try of an item by `fsq scan` has failed.
 *
 * @module
 */
import { PROGRAM_ERROR } from './attempts.js'

/** What is known of a failed try. */
export interface Failure {
  /** The id of the item: a retry changes it. */
  readonly id: string
  /** In a few words, as `exit code 1`. */
  readonly why: string
  /** The exit code or the signal. */
  readonly code?: number | string
  /** The end of what the program wrote to standard error. */
  readonly output?: string
  /** Whether the item is not to be tried again. */
  readonly isPermanent: boolean
}

/** The error in the log of an item. Its message ends with the last line that the program wrote, and its stack is the end of the output. */
export class ProgramError extends Error {
  override readonly name = PROGRAM_ERROR
  readonly id: string
  readonly why: string
  readonly code?: number | string
  readonly isPermanent: boolean

  constructor({ id, why, code, output = '', isPermanent }: Failure) {
    const lastLine = output.trimEnd().split('\n').at(-1)?.trim() ?? ''
    super(lastLine === '' ? why : `${why}: ${lastLine}`)
    this.id = id
    this.why = why
    this.isPermanent = isPermanent
    if (code !== undefined) this.code = code
    // The stack of this process says nothing about the program.
    delete this.stack
    if (output !== '') this.stack = output
  }
}
