/** Measures this package against plain node:fs (bench/README.md). */
import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, tmpdir, type } from 'node:os'
import { resolve } from 'node:path'
import process from 'node:process'
import { parseArgs } from 'node:util'

import { describe, fileSystemOf } from './lib/filesystem.mjs'
import { BenchFolder } from './lib/folder.mjs'
import { interleave } from './lib/rounds.mjs'
import { ratios, spread } from './lib/statistics.mjs'
import { head, line, number, range } from './lib/table.mjs'
import { pickUpTargetLines, targetLines } from './lib/targets.mjs'
import { measureBacklog } from './workloads/backlog.mjs'
import { drainRows } from './workloads/drain.mjs'
import { enqueueRows } from './workloads/enqueue.mjs'
import { measureIdle, measureKills, measurePickUp } from './workloads/pickup.mjs'

const USAGE = `npm run bench [-- [DIR] [--quick] [--json FILE] [--only NAME]]

  DIR          measure on the file system of this folder; left out: that of temporary files
  --quick      fewer items and rounds: under a minute
  --json FILE  also write all that was measured
  --only NAME  only workloads whose name has NAME in it, such as drain, pick-up or 'enqueue sync'
`
const FULL = {
  rounds: 7,
  counts: {
    items: 5000,
    durable: 500,
    warmUp: 1000,
    waiting: 100_000,
    pickUps: 1000,
    kills: 100,
    idleMs: 10_000,
  },
}
const QUICK = {
  rounds: 3,
  counts: { items: 1000, durable: 100, warmUp: 500, waiting: 10_000, pickUps: 200, kills: 20, idleMs: 5000 },
}

const { values: options, positionals } = argumentsOrExit()
if (options.help) {
  process.stdout.write(USAGE)
} else {
  await main(positionals[0] ?? tmpdir())
}

function argumentsOrExit() {
  try {
    const parsed = parseArgs({
      allowPositionals: true,
      options: {
        quick: { type: 'boolean', default: false },
        json: { type: 'string' },
        only: { type: 'string', default: '' },
        help: { type: 'boolean', default: false },
      },
    })
    if (parsed.positionals.length > 1) throw new Error('One folder at a time')
    return parsed
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${USAGE}`)
    process.exit(2)
  }
}

async function main(parent) {
  const { rounds, counts } = options.quick ? QUICK : FULL
  const all = [...enqueueRows({ counts }), ...drainRows({ counts })]
  const chosen = all.filter(({ name }) => name.includes(options.only))
  const withBacklog = 'backlog'.includes(options.only)
  const withPickUp = 'pick-up'.includes(options.only)
  if (chosen.length === 0 && !withBacklog && !withPickUp) {
    const names = [...new Set(all.map(({ name }) => name)), 'backlog', 'pick-up']
    process.stderr.write(`No workload has '${options.only}' in its name. There are: ${names.join(', ')}\n`)
    process.exit(2)
  }

  const folder = new BenchFolder(resolve(parent))
  const fileSystem = fileSystemOf(folder.path)
  const machine = machineOf()
  say(`${folder.path}: ${describe(fileSystem)}`)
  say(`${machine.kernel}, Node ${machine.node}, ${machine.cpus} CPUs (${machine.cpu}), load ${machine.load}`)
  say(`Items a second, median (min-max) of ${rounds} interleaved rounds; ratios round by round.\n`)

  const rows = []
  if (chosen.length > 0) say(head())
  for (const row of chosen) {
    rows.push(await measureRow(row, { rounds, warmUp: counts.warmUp, folder }))
    say(rowLines(rows.at(-1)))
  }
  const backlog = withBacklog ? await backlogOf({ rounds, counts, folder }) : undefined
  if (backlog !== undefined) say(backlogLines(backlog))
  const pickUp = withPickUp ? await pickUpOf({ rounds, counts, folder }) : undefined
  if (pickUp !== undefined) say(pickUpLines(pickUp))
  const targets = [...targetLines(rows, backlog, fileSystem), ...pickUpTargetLines(pickUp)]
  say(`\n${targets.join('\n')}`)
  if (options.json !== undefined) {
    const result = {
      date: new Date().toISOString(),
      quick: options.quick,
      rounds,
      machine,
      fileSystem,
      rows,
      backlog,
      pickUp,
    }
    writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`)
  }
}

async function measureRow({ contenders, ...row }, { rounds, warmUp, folder }) {
  const rates = await interleave(contenders, { items: row.items, warmUp, rounds, folder })
  const [ours, ...references] = contenders.map(({ name }, index) => ({
    name,
    samples: rates[index],
    rate: spread(rates[index]),
  }))
  return {
    ...row,
    fsq: ours,
    references: references.map((reference) => ({
      ...reference,
      ratio: spread(ratios(ours.samples, reference.samples)),
    })),
  }
}

async function backlogOf({ rounds, counts, folder }) {
  const samples = await measureBacklog({ counts, rounds, folder })
  const measured = Object.entries(samples).map(([reader, results]) => [
    reader,
    Object.fromEntries(
      ['milliseconds', 'peakMB', 'maxRssMB'].map((key) => [
        key,
        spread(results.map((result) => result[key])),
      ]),
    ),
  ])
  return { waiting: counts.waiting, ...Object.fromEntries(measured) }
}

function rowLines({ name, size, durability, fsq, references }) {
  return references
    .map(({ name: reference, rate, ratio }, index) => {
      const own = index === 0 ? [name, String(size), durability, range(fsq.rate)] : ['', '', '', '']
      return line([...own, reference, range(rate), range(ratio, 2)])
    })
    .join('\n')
}

function backlogLines({ waiting, ...readers }) {
  const lines = Object.entries(readers).map(([reader, { milliseconds, peakMB, maxRssMB }]) => {
    const first = reader === 'nothing' ? 'no item' : `first item after ${range(milliseconds, 1)} ms`
    const peak = `peak ${range(peakMB, 1)} MB (VmHWM), ${range(maxRssMB, 1)} MB (maxRSS)`
    return `  ${reader.padEnd(8)} ${first}, ${peak}`
  })
  return `\nA new process that looks at ${number(waiting)} waiting items\n${lines.join('\n')}`
}

async function pickUpOf({ rounds, counts, folder }) {
  const samples = await measurePickUp({ counts, rounds, folder })
  const columns = Object.fromEntries(
    ['p50', 'p99'].map((key) => {
      const ours = samples.fsq.map((sample) => sample[key])
      const theirs = samples['node:fs'].map((sample) => sample[key])
      return [key, { fsq: spread(ours), 'node:fs': spread(theirs), ratio: spread(ratios(ours, theirs)) }]
    }),
  )
  const killed = []
  for (const waiters of [1, 4]) killed.push({ waiters, ...(await measureKills({ counts, folder, waiters })) })
  return { ...columns, killed, idle: await measureIdle({ counts, folder }) }
}

function pickUpLines({ p50, p99, killed, idle }) {
  const percent = (part) => `${number(part * 100, 2)} %`
  const lines = [
    ...Object.entries({ p50, p99 }).map(
      ([key, { fsq, 'node:fs': reference, ratio }]) =>
        `  ${key}: ${range(fsq, 2)} ms; node:fs with fs.watch, no locks: ${range(reference, 2)} ms; ratio ${range(ratio, 2)}`,
    ),
    ...killed.map(
      ({ waiters, ...took }) =>
        `  after SIGKILL, ${waiters} waiting: p50 ${number(took.p50, 1)}, p99 ${number(took.p99, 1)}, at most ${number(took.max, 1)} ms`,
    ),
    `  CPU of 100 loops in 5 processes: ${percent(idle.empty)} of an empty queue, ${percent(idle.held)} beside an item that is ` +
      `held; of such processes without a loop: ${percent(idle.none)}`,
  ]
  return `\nFrom an enqueue until the contents are in the hands of another process that waits\n${lines.join('\n')}`
}

function machineOf() {
  return {
    kernel: `${type()} ${release()}`,
    node: process.version,
    cpus: availableParallelism(),
    cpu: cpus()[0]?.model ?? 'unknown',
    load: Number(loadavg()[0].toFixed(2)),
  }
}

function say(text) {
  process.stdout.write(`${text}\n`)
}
