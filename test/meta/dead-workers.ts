// Files of workers that are dead: what they had in hand when they died.
import fs from 'node:fs'
import path from 'node:path'

import { BOOT } from '../../src/meta/boot.js'
import type { Crash } from '../../src/item/dead-workers.js'
import type { Guard } from '../../src/meta/guard.js'
import { type WorkerLine, WorkerLines } from '../../src/meta/worker-lines.js'
import type { Queue } from '../../src/queue.js'

export const SINCE = '2026-01-02T03:04:05.678Z'

const WORKER: WorkerLine = {
  version: 1,
  pid: 4711,
  host: 'web1',
  ...(BOOT === undefined ? {} : { boot: BOOT }),
  started: SINCE,
  concurrency: 4,
  state: 'running',
  counters: { started: 0, done: 0, retried: 0, failed: 0, postponed: 0, released: 0, crashed: 0 },
}

/** Leaves the file of a worker that died with these items in hand. */
export function leaveDeadWorker(
  queue: Queue,
  ids: readonly string[],
  worker: Partial<WorkerLine> = {},
  name = 'web1.4711.1',
): string {
  const lines = new WorkerLines(ids.length)
  lines.worker = { ...WORKER, ...worker }
  for (const id of ids) lines.hold({ id, since: SINCE })
  const file = path.join(queue.path, 'meta', 'workers', name)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, lines.bytes)
  return file
}

/** Opens the journal of a worker, and remembers the marks that it makes. */
export function openGuard(queue: Queue, maxCrashes = 3): { guard: Guard; crashes: Crash[] } {
  const crashes: Crash[] = []
  const guard = queue.openGuard({
    maxCrashes,
    concurrency: () => 4,
    onCrashed: (crash) => crashes.push(crash),
  })
  return { guard, crashes }
}

export function workerFiles(queue: Queue): string[] {
  return filesIn(queue, 'workers')
}

export function logFiles(queue: Queue): string[] {
  return filesIn(queue, 'log')
}

function filesIn(queue: Queue, part: string): string[] {
  const directory = path.join(queue.path, 'meta', part)
  return fs.existsSync(directory) ? fs.readdirSync(directory).sort() : []
}
