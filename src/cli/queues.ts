/**
 * The queues that a command is about.
 *
 * @module
 */
import path from 'node:path'

import { type Layout, hostLayoutOf, layoutOf } from '../directory/layout.js'
import { QueueDirectory } from '../directory/open-directory.js'
import { queueMissing } from '../directory/presence.js'
import { QueueMissingError } from '../errors/classes.js'
import { QueueSurvey, hostLayoutsIn, isDirectory, queuesIn } from '../inspect/queues.js'
import type { Settings } from '../settings.js'
import { explain } from './advice.js'
import type { Arguments } from './arguments.js'
import { say } from './output.js'

/** The layout of one queue. @throws {@link QueueMissingError} */
export function queueNamed(name: string, settings: Settings): Layout {
  const layout = layoutOf(name, settings)
  if (isDirectory(layout.path, true)) return layout
  throw new QueueMissingError(`There is no queue '${name}' in ${layout.root}`, {
    advice: "'fsq list' has those that there are; fsq -r (FSQ_ROOT) sets where they are",
  })
}

/** Each queue, and the queues of its hosts after it. */
export function withHosts(layouts: readonly Layout[], settings: Settings): readonly Layout[] {
  return layouts.flatMap((layout) => [layout, ...hostLayoutsIn(layout, settings)])
}

/** The queues that the operands name; with `-a` and `-A`, the queues of their hosts instead. */
export function hostsNamed(given: Arguments, settings: Settings): readonly Layout[] {
  const queues = given.operands.map((name) => queueNamed(name, settings))
  if (given.has('all-hosts')) return queues.flatMap((queue) => hostLayoutsIn(queue, settings))
  const hosts = given.texts('host')
  if (hosts === undefined) return queues
  return queues.flatMap((queue) =>
    hosts.map((host) => {
      const layout = hostLayoutOf(queue, host, settings)
      if (isDirectory(layout.path, true)) return layout
      throw queueMissing(layout, 'stat')
    }),
  )
}

/** What a table calls a queue: that of a host by its path below the root. */
export function tableName({ name, path: queue, parent }: Layout): string {
  return parent === undefined ? name : path.relative(parent.root, queue)
}

/** What JSON calls a queue: the queue and, of a host, its name. */
export function jsonName({ name, parent }: Layout): { readonly queue: string; readonly host?: string } {
  return parent === undefined ? { queue: name } : { queue: parent.name, host: name }
}

/** A survey of the queues with these names, or of all. It prints a message for each queue that cannot be read. */
export function surveyOf(
  names: readonly string[],
  settings: Settings,
  expand: (layouts: readonly Layout[]) => readonly Layout[] = (layouts) => layouts,
): QueueSurvey {
  const layouts = names.length > 0 ? names.map((name) => queueNamed(name, settings)) : queuesIn(settings)
  return new QueueSurvey(expand(layouts), (layout, error) => {
    say(`the queue '${tableName(layout)}' is skipped: ${explain(error)}`)
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
