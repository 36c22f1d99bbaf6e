import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'

import { Queue } from 'fsq'

const run = promisify(execFile)
const READER = join(import.meta.dirname, 'backlog-reader.mjs')
const BULK = 1000

/** The backlog that fresh processes look at: until the first item, and how much memory that takes them. */
export async function measureBacklog({ counts, rounds, folder }) {
  const root = folder.make()
  const queue = await Queue.install('backlog', { root, durability: 'none' })
  // Empty, which is the cheapest to make.
  const entries = Array.from({ length: BULK }, () => ({ data: null }))
  for (let made = 0; made < counts.waiting; made += BULK) await queue.enqueueMany(entries)
  await queue.close()

  const readers = ['fsq', 'node:fs', 'nothing']
  const samples = Object.fromEntries(readers.map((reader) => [reader, []]))
  for (let round = 0; round < rounds; round++) {
    for (const reader of readers) {
      const { stdout } = await run(process.execPath, [READER, reader, root])
      samples[reader].push(JSON.parse(stdout))
    }
  }
  const first = new Set([...samples['fsq'], ...samples['node:fs']].map(({ id }) => id))
  assert.equal(readdirSync(join(root, 'backlog', 'queue')).length, counts.waiting, 'items that wait')
  assert.equal(first.size, 1, 'first items')
  rmSync(root, { recursive: true })
  return samples
}
