/**
 * What the items of a typed queue have: types only.
 *
 * @module
 */
import type { StandardSchemaV1 } from './standard-schema.js'

/**
 * Checks a value, and gives back the value that handlers get: a schema of any library that implements Standard Schema, or a function that
 * throws if the value is not valid.
 */
export type Parser<Output = unknown> =
  StandardSchemaV1<unknown, Output> | ((value: unknown) => Output | Promise<Output>)

/** The arguments of an item. An optional one may be missing. */
export type Arguments = readonly (string | undefined)[]

/**
 * What the items of a queue have: for each of `args` and `body` the type, or the type of its parser.
 *
 * @example
 * ```ts
 * import { Queue } from 'fsq'
 * import { z } from 'zod'
 *
 * const invoice = z.object({ to: z.email(), cents: z.int() })
 * const inferred = new Queue('mail', { body: invoice })
 * const explicit = new Queue<{ args: [userId: string]; body: z.infer<typeof invoice> }>('mail', {
 *   args: z.tuple([z.string()]),
 *   body: invoice,
 * })
 * const parameter = (queue: Queue<{ body: typeof invoice }>) => queue.enqueue({ json: { to: 'a@example.org', cents: 1 } })
 * ```
 */
export interface Shape {
  readonly args?: Arguments | Parser<Arguments>
  readonly body?: unknown
}

/** The {@link Shape} of a queue without parsers: its items have any contents and any arguments. */
// No keys are exactly what is meant: of options without parsers, TypeScript infers the same.
// eslint-disable-next-line @typescript-eslint/no-generated-empty-object-type
export type Untyped = Record<never, never>

/** The parsers of a queue, as options. A type that is given for a part makes its parser mandatory. */
export type ParserOptions<T extends Shape> = {
  readonly [Part in keyof T & keyof Shape]?: ParserOf<T[Part]>
} & Mandatory<T, 'args'> &
  Mandatory<T, 'body'>

// NoInfer: of the parser itself, TypeScript infers the shape from the true branch alone.
type ParserOf<Type> = Type extends Parser ? Type : Parser<NoInfer<Type>>

type Mandatory<T extends Shape, Part extends keyof Shape> =
  T extends Readonly<Record<Part, unknown>> ? Readonly<Record<Part, unknown>> : unknown

/** The type that a parser gives. A type that is no parser is itself. */
export type OutputOf<Type> =
  Type extends StandardSchemaV1<infer _Input, infer Output>
    ? Output
    : Type extends (value: never) => infer Output
      ? Awaited<Output>
      : Type

/** The type that a parser takes. That of a function is not known, so it is the type that the function gives. */
export type InputOf<Type> =
  Type extends StandardSchemaV1<infer Input>
    ? Input
    : Type extends (value: never) => infer Output
      ? Awaited<Output>
      : Type

/** The type of the body of a parsed item. */
export type BodyOf<T extends Shape> = T extends { readonly body: infer Body } ? OutputOf<Body> : unknown

/** The type of the arguments of a parsed item. */
export type ArgsOf<T extends Shape> = T extends { readonly args: infer Args }
  ? Extract<OutputOf<Args>, Arguments>
  : readonly string[]
