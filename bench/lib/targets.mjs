import { number } from './table.mjs'

/** What we hold ourselves to at this stage, and on which file system. */
const TARGETS = [
  {
    text: 'drain at least as fast as node:fs without locks',
    rows: ({ name }) => name.startsWith('drain'),
    least: 1,
  },
  {
    text: 'enqueueSync, durability none, at least 1.2 times node:fs sync (ext4)',
    rows: ({ name, durability }) => name === 'enqueue sync' && durability === 'none',
    least: 1.2,
    type: 'ext4',
  },
  {
    text: 'locking at least 0.95 of the fastest peer of its kind',
    rows: ({ name }) => name.startsWith('locking'),
    least: 0.95,
  },
]
const BACKLOG = { waiting: 100_000, type: 'tmpfs', milliseconds: 200, megabytes: 90 }

/** Lines that compare each target with what was measured. */
export function targetLines(rows, backlog, { type }) {
  const lines = []
  for (const target of TARGETS) {
    for (const row of rows.filter(target.rows)) {
      for (const { name, ratio } of row.references) {
        const judged = target.type === undefined || target.type === type
        const verdict = judged ? verdictOf(ratio.median >= target.least) : `not judged on ${type}`
        const where = `${row.name}, ${row.size} bytes, against ${name}`
        lines.push(`${verdict}: ${target.text}: ${number(ratio.median, 2)} (${where})`)
      }
    }
  }
  if (backlog === undefined) return lines
  const { waiting, milliseconds, megabytes } = BACKLOG
  const judged = backlog.waiting === waiting && type === BACKLOG.type
  const verdict = (met) => (judged ? verdictOf(met) : `not judged for ${number(backlog.waiting)} on ${type}`)
  const first = backlog.fsq.milliseconds.median
  const peak = backlog.fsq.peakMB.median
  const what = `${number(waiting)} waiting on tmpfs`
  lines.push(
    `${verdict(first <= milliseconds)}: ${what}: first item within ${milliseconds} ms: ${number(first, 1)} ms`,
    `${verdict(peak <= megabytes)}: ${what}: process below ${megabytes} MB: ${number(peak, 1)} MB`,
  )
  return lines
}

const PICK_UP = { ratio: 1.2, killedMs: 50, idle: 0.01 }

/** The same for what was measured of loops that wait. */
export function pickUpTargetLines(pickUp) {
  if (pickUp === undefined) return []
  const { ratio, killedMs, idle } = PICK_UP
  const busiest = Math.max(pickUp.idle.empty, pickUp.idle.held) - pickUp.idle.none
  return [
    ...['p50', 'p99'].map((key) => {
      const measured = pickUp[key].ratio.median
      return `${verdictOf(measured <= ratio)}: pick-up ${key} at most ${ratio} times node:fs with fs.watch: ${number(measured, 2)}`
    }),
    ...pickUp.killed.map(
      ({ waiters, p99 }) =>
        `${verdictOf(p99 < killedMs)}: pick-up after SIGKILL, p99 below ${killedMs} ms: ${number(p99, 1)} (${waiters} waiting)`,
    ),
    `${verdictOf(busiest < idle)}: 100 idle loops below ${idle * 100} % of a CPU: ${number(busiest * 100, 2)} %`,
  ]
}

function verdictOf(met) {
  return met ? 'met' : 'MISSED'
}
