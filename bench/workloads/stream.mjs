import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'

const run = promisify(execFile)
const PROGRAM = join(import.meta.dirname, 'stream-program.mjs')
const MIB = 2 ** 20

/** One large item from a Readable and back by its stream, in fresh processes: how fast, and in how much memory. */
export async function measureStream({ counts, rounds, folder }) {
  const size = counts.streamMB * MIB
  const samples = { fsq: [], 'node:fs': [] }
  for (let round = 0; round < rounds; round++) {
    for (const [program, results] of Object.entries(samples)) {
      const root = folder.make()
      const { stdout } = await run(process.execPath, [PROGRAM, program, root, String(size)])
      const { read, ...result } = JSON.parse(stdout)
      assert.equal(read, size, 'bytes that were read back')
      results.push(result)
      rmSync(root, { recursive: true })
    }
  }
  return samples
}
