import { rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'

import { output } from '../lib/children.mjs'
import { ratioOf, spread, spreadOf } from '../lib/statistics.mjs'
import { range } from '../lib/table.mjs'

const PROGRAM = join(import.meta.dirname, 'loop-delay-program.mjs')
const KEYS = ['p50', 'p99', 'max']
const OTHER = 'fs/promises'

/** `fsq`, `other`: the share of counts.looped that each processes, so that all last about as long. */
const FORMS = [
  { name: 'drain, 16 in flight', form: 'drain', width: 16, durability: 'none', fsq: 1, other: 0.35 },
  { name: 'drain, one at a time', form: 'drain', width: 1, durability: 'none', fsq: 0.5, other: 0.08 },
  { name: 'enqueue awaited, none', form: 'enqueue', durability: 'none', fsq: 0.7, other: 0.06 },
  { name: 'enqueue awaited, durable', form: 'enqueue', durability: 'enqueue', fsq: 0.03, other: 0.015 },
]

/**
 * How late a timer of 1 ms is while the same thread drains or enqueues, beside one in a process that does nothing. Each run is a
 * process of its own, so that no garbage of others delays it.
 */
export const loopDelay = { name: 'event loop delay', measure, lines }

async function measure({ counts, rounds, folder }) {
  const nothing = []
  const samples = FORMS.map(() => ({ fsq: [], [OTHER]: [] }))
  for (let round = 0; round < rounds; round++) {
    nothing.push(await delaysOf(folder, { contender: 'nothing' }))
    for (const [index, { form, width, durability, fsq, other }] of FORMS.entries()) {
      for (const [contender, share] of [
        ['fsq', fsq],
        [OTHER, other],
      ]) {
        const count = Math.ceil(counts.looped * share)
        const order = { contender, count, form, width, durability }
        samples[index][contender].push(await delaysOf(folder, order))
      }
    }
  }
  const forms = FORMS.map(({ name }, index) => {
    const ours = samples[index].fsq
    const theirs = samples[index][OTHER]
    const p99 = (results) => results.map((result) => result.p99)
    return {
      name,
      fsq: spreadOf(ours, KEYS),
      [OTHER]: spreadOf(theirs, KEYS),
      ratio: ratioOf(p99(ours), p99(theirs)),
      more: spread(p99(ours).map((value, round) => value - p99(theirs)[round])),
    }
  })
  return { nothing: spreadOf(nothing, KEYS), forms }
}

async function delaysOf(folder, order) {
  const place = folder.make()
  const measured = JSON.parse(
    await output(process.execPath, [PROGRAM, JSON.stringify({ folder: place, ...order })]),
  )
  rmSync(place, { recursive: true })
  return measured
}

function lines({ nothing, forms }) {
  const delays = ({ p50, p99, max }) =>
    `p50 ${range(p50, 2)}, p99 ${range(p99, 2)}, at most ${range(max, 1)} ms`
  return [
    'From one call of a timer of 1 ms to the next, in the thread that works (monitorEventLoopDelay)',
    `  nothing else to do: ${delays(nothing)}`,
    ...forms.flatMap(({ name, fsq, [OTHER]: other, ratio, more }) => [
      `  ${name}`,
      `    ${'fsq'.padEnd(OTHER.length)}  ${delays(fsq)}`,
      `    ${OTHER}  ${delays(other)}; p99, fsq : it ${range(ratio, 2)}, ${range(more, 2)} ms more`,
    ]),
  ]
}
