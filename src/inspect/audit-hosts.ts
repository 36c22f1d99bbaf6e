/**
 * What can be wrong with the hosts of a queue (fsq standard, section 12).
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import path from 'node:path'

import type { FileCalls } from '../directory/calls.js'
import { type Layout, checkQueueName, hostLayoutOf, hostsPath } from '../directory/layout.js'
import type { Settings } from '../settings.js'
import type { LocatedFinding } from './finding.js'
import { isDirectoryBy } from './queues.js'

const HIDDEN = /^\.fsq-[A-Za-z0-9]{6}(?:-old)?$/

/**
 * Findings about the hosts of one queue.
 *
 * @param auditQueue - Looks through the queue of one host.
 */
export async function* auditHosts(
  layout: Layout,
  settings: Settings,
  calls: FileCalls,
  auditQueue: (host: Layout) => AsyncIterable<LocatedFinding>,
): AsyncGenerator<LocatedFinding, void, undefined> {
  const directory = hostsPath(layout, settings)
  const about = { queue: layout.name, path: directory } as const
  const info = await calls.lstat(directory)
  if (info === undefined) return
  if (!info.isDirectory()) {
    yield { ...about, kind: 'foreign', message: 'is no directory, so the queue can have no hosts' }
    return
  }
  const names = (await calls.names(directory)).map((raw) => Buffer.from(raw, 'latin1').toString())
  for (const name of names.sort()) {
    const at = { ...about, path: path.join(directory, name) } as const
    if (!(await isDirectoryBy(calls, at.path, true)))
      yield { ...at, kind: 'foreign', message: 'is no directory, and so no host' }
    else if (HIDDEN.test(name)) {
      const message = 'is left from a host that was added or removed, unless that is under way'
      yield { ...at, kind: 'half-installed', message, fix: { action: 'remove directory' } }
    } else if (name.startsWith('.')) {
      const message =
        'is hidden, perhaps a host that another program has added or removed by halves: look at it'
      yield { ...at, kind: 'half-installed', message }
    } else if (isName(name)) {
      const queue = `${layout.name}/${settings.hosts}/${name}`
      for await (const finding of auditQueue(hostLayoutOf(layout, name, settings)))
        yield { ...finding, queue }
    }
  }
}

function isName(name: string): boolean {
  try {
    checkQueueName(name)
    return true
  } catch {
    return false
  }
}
