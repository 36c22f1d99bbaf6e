import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

import { output } from '../lib/children.mjs'
import { ratioOf, spreadOf } from '../lib/statistics.mjs'
import { number, range } from '../lib/table.mjs'

const PROGRAM = join(import.meta.dirname, 'stream-program.mjs')
const MIB = 2 ** 20

/** One large item, enqueued from a Readable and read by its stream, in fresh processes: speed and memory. */
export const stream = { name: 'stream', measure, lines, bytes: ({ streamMB }) => streamMB * MIB }

async function measure({ counts, longRounds, folder }) {
  const size = counts.streamMB * MIB
  const samples = { fsq: [], 'node:fs': [] }
  for (let round = 0; round < longRounds; round++) {
    for (const [program, results] of Object.entries(samples)) {
      const root = folder.make()
      const { read, ...result } = JSON.parse(
        await output(process.execPath, [PROGRAM, program, root, String(size)]),
      )
      assert.equal(read, size, 'bytes that were read back')
      results.push(result)
      rmSync(root, { recursive: true })
    }
  }
  const measured = Object.entries(samples).map(([program, results]) => [
    program,
    spreadOf(results, ['inMBs', 'outMBs', 'peakMB']),
  ])
  const ratios = Object.fromEntries(
    ['inMBs', 'outMBs'].map((key) => {
      const rates = Object.values(samples).map((results) => results.map((result) => result[key]))
      return [key, ratioOf(...rates)]
    }),
  )
  return { megabytes: counts.streamMB, rounds: longRounds, ratios, ...Object.fromEntries(measured) }
}

function lines({ megabytes, rounds, ratios, ...programs }) {
  return [
    `A new process that puts a stream of ${number(megabytes)} MiB into one item, and reads that (rounds: ${rounds})`,
    ...Object.entries(programs).map(
      ([program, { inMBs, outMBs, peakMB }]) =>
        `  ${program.padEnd(8)} in at ${range(inMBs)} MB/s, out at ${range(outMBs)} MB/s, peak ${range(peakMB, 1)} MB`,
    ),
    `  fsq : it in ${range(ratios.inMBs, 2)}, out ${range(ratios.outMBs, 2)}`,
  ]
}
