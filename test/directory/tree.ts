/** Shared by the tests that install queues: a look at all their files. */
import fs from 'node:fs'
import path from 'node:path'

import type { Queue } from '../../src/queue.js'

export const DIRECTORIES = ['done', 'fail', 'queue', 'tmp']

/** All that there is, and what kind of thing it is: to see that nothing has changed. */
export function tree(directory: string): Record<string, unknown> {
  return Object.fromEntries(
    fs.readdirSync(directory, { withFileTypes: true }).map((entry): [string, unknown] => {
      const file = path.join(directory, entry.name)
      if (entry.isDirectory()) return [entry.name, tree(file)]
      if (entry.isSymbolicLink()) return [entry.name, `-> ${fs.readlinkSync(file)}`]
      return [entry.name, entry.isFile() ? fs.readFileSync(file, 'utf8') : 'special']
    }),
  )
}

export const modes = (queue: Queue): number[] =>
  ['', ...Object.values(queueDirectories(queue))].map(
    (name) => fs.statSync(path.join(queue.path, name)).mode & 0o7777,
  )

function queueDirectories({ settings: { queue, tmp, done, fail } }: Queue): Record<string, string> {
  return { queue, tmp, done, fail }
}
