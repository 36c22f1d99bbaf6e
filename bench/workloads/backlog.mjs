import assert from 'node:assert/strict'
import { readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

import { output } from '../lib/children.mjs'
import { floorEnqueue } from '../lib/floor.mjs'
import { ratioOf, spreadOf } from '../lib/statistics.mjs'
import { number, range } from '../lib/table.mjs'
import { openFsq } from '../peers/fsq.mjs'

const READER = join(import.meta.dirname, 'backlog-reader.mjs')
const READERS = ['fsq', 'node:fs', 'nothing']

/** Fresh processes look at a backlog: the time to the first item, and the memory that takes. */
export const backlog = { name: 'backlog', measure, lines }

async function measure({ counts, rounds, folder }) {
  const root = folder.make()
  const queue = join(root, 'backlog')
  await (await openFsq(queue)).close()
  // Empty items, which are the cheapest to create.
  await floorEnqueue(queue, { count: counts.waiting, size: 0 })

  const samples = Object.fromEntries(READERS.map((reader) => [reader, []]))
  for (let round = 0; round < rounds; round++) {
    for (const reader of READERS) {
      samples[reader].push(JSON.parse(await output(process.execPath, [READER, reader, root])))
    }
  }
  const ids = new Set([...samples['fsq'], ...samples['node:fs']].map(({ id }) => id))
  assert.equal(readdirSync(join(queue, 'queue')).length, counts.waiting, 'items that wait')
  assert.equal(ids.size, 1, 'first items')
  rmSync(root, { recursive: true })
  const measured = Object.entries(samples).map(([reader, results]) => [
    reader,
    spreadOf(results, ['milliseconds', 'peakMB', 'maxRssMB']),
  ])
  const first = (reader) => samples[reader].map(({ milliseconds }) => milliseconds)
  const ratio = ratioOf(first('fsq'), first('node:fs'))
  return { waiting: counts.waiting, ratio, ...Object.fromEntries(measured) }
}

function lines({ waiting, ratio, ...readers }) {
  const each = Object.entries(readers).map(([reader, { milliseconds, peakMB, maxRssMB }]) => {
    const first = reader === 'nothing' ? 'no item' : `first item after ${range(milliseconds, 1)} ms`
    const peak = `peak ${range(peakMB, 1)} MB (VmHWM), ${range(maxRssMB, 1)} MB (maxRSS)`
    const compared = reader === 'node:fs' ? `; fsq : it ${range(ratio, 2)}` : ''
    return `  ${reader.padEnd(8)} ${first}, ${peak}${compared}`
  })
  return [`A new process that looks at ${number(waiting)} waiting items`, ...each]
}
