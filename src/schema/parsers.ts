/**
 * The parsers of a typed queue at work. A producer and a worker check an item in the same way: the body as it reads from JSON, and
 * the arguments as texts.
 *
 * @module
 */
import { inspect, types } from 'node:util'

import { PayloadError, type PayloadIssue, SettingError } from '../errors/classes.js'
import type { StandardSchemaIssue, StandardSchemaV1 } from './standard-schema.js'

/** The parts of an item that can have a parser. */
type Part = 'body' | 'args'

const SUBJECTS = { body: 'The body is', args: 'The arguments are' } as const
const NAMES = { body: 'body', args: 'arguments' } as const
// A message is for a log. The error has all issues.
const MOST_LISTED = 10
const IDENTIFIER = /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u

/** A parser of one part, checked. */
export class PartParser {
  readonly #part: Part
  readonly #validate: (value: unknown) => unknown
  readonly #isSchema: boolean

  /** @throws {@link SettingError} if it is no parser. */
  constructor(part: Part, given: unknown) {
    this.#part = part
    const schema = schemaOf(given)
    this.#isSchema = schema !== undefined
    if (schema !== undefined) this.#validate = (value) => schema.validate(value)
    else if (typeof given === 'function') this.#validate = given as (value: unknown) => unknown
    else {
      throw new SettingError(
        part,
        given,
        'a schema that implements Standard Schema 1 (zod, valibot, arktype ...), or a function',
      )
    }
  }

  /**
   * Gives the value that the parser makes of a value, or a promise of it if the parser gives one.
   *
   * @throws {@link PayloadError} if the value is not valid, or if the parser throws. A promise rejects with it.
   */
  parse(value: unknown): unknown {
    let answer: unknown
    try {
      answer = this.#validate(value)
    } catch (error) {
      throw this.#thrown(error)
    }
    if (!isThenable(answer)) return this.#outputOf(answer)
    return Promise.resolve(answer).then(
      (settled) => this.#outputOf(settled),
      (error: unknown) => {
        throw this.#thrown(error)
      },
    )
  }

  #outputOf(answer: unknown): unknown {
    if (!this.#isSchema) return answer
    const { issues, value } = isObject(answer) ? answer : {}
    if (Array.isArray(issues)) throw this.#refusal((issues as StandardSchemaIssue[]).map(plainIssue))
    if (isObject(answer) && 'value' in answer) return value
    throw new PayloadError(
      `The schema of the ${NAMES[this.#part]} gave ${inspect(answer, { depth: 0 })}, expected { value } or { issues }`,
    )
  }

  #refusal(issues: readonly PayloadIssue[], cause?: unknown): PayloadError {
    const listed = issues.slice(0, MOST_LISTED).map(({ path, message }) => {
      return path.length === 0 ? message : `${pathText(path)}: ${message}`
    })
    const more = issues.length > MOST_LISTED ? `; and ${issues.length - MOST_LISTED} more` : ''
    return new PayloadError(`${SUBJECTS[this.#part]} not valid: ${listed.join('; ')}${more}`, {
      issues,
      ...(cause === undefined ? {} : { cause }),
    })
  }

  /** A function refuses a value by throwing. A schema that throws is broken. */
  #thrown(error: unknown): PayloadError {
    const message = error instanceof Error ? error.message : inspect(error)
    if (!this.#isSchema) return this.#refusal([{ path: [], message }], error)
    return new PayloadError(`The schema of the ${NAMES[this.#part]} threw an error: ${message}`, {
      cause: error,
    })
  }
}

/** The parsers of a queue. */
export interface Parsers {
  readonly body: PartParser | undefined
  readonly args: PartParser | undefined
}

/**
 * The parsers among the options of a queue; `undefined`: there is none.
 *
 * @throws {@link SettingError}
 */
export function parsersOf(body: unknown, args: unknown): Parsers | undefined {
  if (body === undefined && args === undefined) return undefined
  return {
    body: body === undefined ? undefined : new PartParser('body', body),
    args: args === undefined ? undefined : new PartParser('args', args),
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return types.isPromise(value) || (isObject(value) && typeof value['then'] === 'function')
}

/** The schemas of some libraries, such as arktype, are functions, too. */
function schemaOf(given: unknown): StandardSchemaV1['~standard'] | undefined {
  if (!isObject(given) && typeof given !== 'function') return undefined
  const standard = (given as Partial<StandardSchemaV1>)['~standard']
  return standard?.version === 1 && typeof standard.validate === 'function' ? standard : undefined
}

function plainIssue({ message, path = [] }: StandardSchemaIssue): PayloadIssue {
  return { path: path.map((key) => (typeof key === 'object' ? key.key : key)), message }
}

/** As a program writes it: `lines[0].amount`. */
function pathText(path: readonly PropertyKey[]): string {
  return path
    .map((key, index) => {
      if (typeof key === 'string' && IDENTIFIER.test(key)) return index === 0 ? key : `.${key}`
      return `[${typeof key === 'string' ? inspect(key) : String(key)}]`
    })
    .join('')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null
}
