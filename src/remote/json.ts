/**
 * JSON text as the first implementation writes it: a blank after each colon and comma, and ASCII only.
 *
 * @module
 */

/** A value that JSON can have. */
export type Json = string | number | boolean | null | readonly Json[] | { readonly [key: string]: Json }

/** Writes a value of few levels. */
export function jsonText(value: Json): string {
  if (typeof value === 'string')
    return JSON.stringify(value).replace(
      /[\u0080-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (isList(value)) return `[${value.map(jsonText).join(', ')}]`
  return `{${Object.entries(value)
    .map(([key, member]) => `${jsonText(key)}: ${jsonText(member)}`)
    .join(', ')}}`
}

/** Reads JSON in UTF-8. @throws If it is not that. */
export function parsedJson(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))
}

/** Whether a value is an object with keys. */
export function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value)
}
