/* eslint-disable @typescript-eslint/no-unnecessary-type-parameters -- they compare types */
// Invoices in each kind of parser, and the types that a typed queue must make of them.
import { type } from 'arktype'
import * as v from 'valibot'
import { z } from 'zod'

/** What the parsers below give. */
export interface Invoice {
  readonly to: string
  readonly cents: number
  readonly lines: readonly { readonly text: string }[]
}

export const VALID = { to: 'a@example.org', cents: 5, lines: [{ text: 'one' }] }
/** Is not valid at `lines[1].text`. */
export const INVALID = { to: 'a@example.org', cents: 5, lines: [{ text: 'one' }, { text: 2 }] }

export const zodInvoice = z.object({
  to: z.email(),
  cents: z.number(),
  lines: z.array(z.object({ text: z.string() })),
})

export const valibotInvoice = v.object({
  to: v.pipe(v.string(), v.email()),
  cents: v.number(),
  lines: v.array(v.object({ text: v.string() })),
})

export const arktypeInvoice = type({
  to: 'string.email',
  cents: 'number',
  lines: type({ text: 'string' }).array(),
})

export function invoiceOf(value: unknown): Invoice {
  const { to, cents, lines } = value as Partial<Record<keyof Invoice, unknown>>
  if (typeof to !== 'string' || typeof cents !== 'number' || !Array.isArray(lines))
    throw new Error('no invoice')
  for (const [index, { text }] of (lines as { text: unknown }[]).entries())
    if (typeof text !== 'string') throw new Error(`lines[${index}].text: it is no text`)
  return { to, cents, lines: lines as Invoice['lines'] }
}

type Same<One, Other> =
  (<Any>() => Any extends One ? 1 : 2) extends <Any>() => Any extends Other ? 1 : 2 ? true : false

/** Does not compile unless the type of the value is exactly the expected one. */
export const exactly =
  <Expected>() =>
  <Actual>(value: Same<Actual, Expected> extends true ? Actual : never): Actual =>
    value
