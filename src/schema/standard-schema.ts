/**
 * The types of Standard Schema, version 1 (https://standardschema.dev), which zod, valibot, arktype and others implement. The specification
 * asks libraries to copy them, so that they need no dependency.
 *
 * @module
 */

/** A schema of any library that implements Standard Schema. */
export interface StandardSchemaV1<Input = unknown, Output = Input> {
  /** What the standard defines. */
  readonly '~standard': StandardSchemaProps<Input, Output>
}

/** The properties of a Standard Schema. */
export interface StandardSchemaProps<Input = unknown, Output = Input> {
  readonly version: 1
  /** The name of the library. */
  readonly vendor: string
  /** Checks a value. */
  readonly validate: (value: unknown) => StandardSchemaResult<Output> | Promise<StandardSchemaResult<Output>>
  /** Exists for the compiler only. */
  readonly types?: { readonly input: Input; readonly output: Output } | undefined
}

/** The result of a check: the value as the schema gives it, or the issues. */
export type StandardSchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardSchemaIssue[] }

/** One reason why a value does not fit a schema. */
export interface StandardSchemaIssue {
  readonly message: string
  /** The keys that lead to the part of the value that does not fit. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}
