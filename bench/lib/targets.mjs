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

const STARTUP = [
  { command: 'fsq --help', milliseconds: 25 },
  { command: 'fsq enqueue -e', milliseconds: 30, type: 'tmpfs' },
]

/** The same for the start of the commands. */
export function startupTargetLines(startup, fileSystem) {
  if (startup === undefined) return []
  return STARTUP.map(({ command, milliseconds, type = fileSystem.type }) => {
    const more = startup.commands[command].more.median
    const verdict =
      type === fileSystem.type ? verdictOf(more <= milliseconds) : `not judged on ${fileSystem.type}`
    return `${verdict}: ${command} within ${milliseconds} ms more than node -e 0: ${number(more, 1)} ms`
  })
}

function verdictOf(met) {
  return met ? 'met' : 'MISSED'
}
