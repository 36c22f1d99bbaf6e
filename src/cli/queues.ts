/**
 * The queues that a command is about.
 *
 * @module
 */
import type { Layout } from '../directory/layout.js'
import { layoutOf } from '../directory/layout.js'
import { QueueDirectory } from '../directory/open-directory.js'
import { QueueMissingError } from '../errors/classes.js'
import { QueueSurvey, isDirectory, queuesIn } from '../inspect/queues.js'
import type { Settings } from '../settings.js'
import { explain } from './advice.js'
import { say } from './output.js'

/** The layout of one queue. @throws {@link QueueMissingError} */
export function queueNamed(name: string, settings: Settings): Layout {
  const layout = layoutOf(name, settings)
  if (isDirectory(layout.path, true)) return layout
  throw new QueueMissingError(`There is no queue '${name}' in ${layout.root}`, {
    advice: "'fsq list' has those that there are; fsq -r (FSQ_ROOT) sets where they are",
  })
}

/** A survey of the queues with these names, or of all. It prints a message for each queue that cannot be read. */
export function surveyOf(names: readonly string[], settings: Settings): QueueSurvey {
  const layouts = names.length > 0 ? names.map((name) => queueNamed(name, settings)) : queuesIn(settings)
  return new QueueSurvey(layouts, ({ name }, error) => {
    say(`the queue '${name}' is skipped: ${explain(error)}`)
  })
}

/** Opens a queue, yields what `look` finds in it, and closes it. A look is allowed on network file systems, too. */
export async function* lookInto<T>(
  layout: Layout,
  settings: Settings,
  look: (directory: QueueDirectory) => AsyncIterable<T>,
): AsyncGenerator<T, void, undefined> {
  const directory = new QueueDirectory(layout, { ...settings, allowNetwork: true })
  try {
    yield* look(directory)
  } finally {
    directory.close()
    directory.closeDescriptors()
  }
}
