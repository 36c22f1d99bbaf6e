/**
 * What `console.log()` shows of objects whose parts are private. Without it, an item in a log is `WorkItem {}`.
 *
 * @module
 */
import { type InspectOptions, inspect } from 'node:util'

/**
 * The text of an object, for its method `[inspect.custom]`.
 *
 * @param name - The name of the class.
 * @param parts - What is worth seeing.
 */
export function inspected(name: string, parts: object, depth: number, options: InspectOptions): string {
  return depth < 0 ? `[${name}]` : `${name} ${inspect(parts, options)}`
}
