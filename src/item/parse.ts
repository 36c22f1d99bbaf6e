/**
 * Parses the items of a typed queue.
 *
 * @module
 */
import { PayloadError } from '../errors/classes.js'
import type { Parsers } from '../schema/parsers.js'
import type { WorkItem } from './work-item.js'

/**
 * Reads a claimed item and checks it: its body is then {@link WorkItem.body}, and its arguments are {@link WorkItem.args}.
 *
 * @returns The error for which the item is not valid; `undefined`: it is valid. Rejects if the contents cannot be read.
 */
export async function parseItem(item: WorkItem, parsers: Parsers): Promise<PayloadError | undefined> {
  try {
    const args = parsers.args === undefined ? undefined : await parsers.args.parse([...item.arguments])
    const body =
      parsers.body === undefined ? undefined : { value: await parsers.body.parse(jsonOf(await item.text())) }
    item.setParsed({ args: args as readonly string[] | undefined, body })
    return undefined
  } catch (error) {
    if (error instanceof PayloadError) return error
    throw error
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new PayloadError(
      `The body is not JSON: ${cause instanceof Error ? cause.message : String(cause)}`,
      {
        cause,
      },
    )
  }
}
