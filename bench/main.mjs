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
import { targetLines } from './lib/targets.mjs'
import { measureBacklog } from './workloads/backlog.mjs'
import { drainRows } from './workloads/drain.mjs'
import { enqueueRows } from './workloads/enqueue.mjs'
import { lockRows } from './workloads/lock.mjs'
import { measureStream } from './workloads/stream.mjs'

const USAGE = `npm run bench [-- [DIR] [--quick] [--json FILE] [--only NAME]]

  DIR          measure on the file system of this folder; left out: that of temporary files
  --quick      fewer items and rounds: under a minute
  --json FILE  also write all that was measured
  --only NAME  only workloads whose name has NAME in it, such as drain, pick-up or 'enqueue sync'
`
const FULL = {
  rounds: 7,
  counts: { items: 5000, durable: 500, warmUp: 1000, waiting: 100_000, streamMB: 5120 },
}
const QUICK = {
  rounds: 3,
  counts: { items: 1000, durable: 100, warmUp: 500, waiting: 10_000, streamMB: 256 },
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
  const all = [...enqueueRows({ counts }), ...drainRows({ counts }), ...lockRows({ counts })]
  const chosen = all.filter(({ name }) => name.includes(options.only))
  const withBacklog = 'backlog'.includes(options.only)
  const withStream = 'stream'.includes(options.only)
  if (chosen.length === 0 && !withBacklog && !withStream) {
    const names = [...new Set(all.map(({ name }) => name)), 'backlog', 'stream']
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
  const stream = withStream ? await streamOf({ rounds, counts, folder }) : undefined
  if (stream !== undefined) say(streamLines(stream))
  say(`\n${targetLines(rows, backlog, fileSystem).join('\n')}`)
  if (options.json !== undefined) {
    const result = {
      date: new Date().toISOString(),
      quick: options.quick,
      rounds,
      machine,
      fileSystem,
      rows,
      backlog,
      stream,
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

async function streamOf({ rounds, counts, folder }) {
  const samples = await measureStream({ counts, rounds: Math.min(rounds, 3), folder })
  const measured = Object.entries(samples).map(([program, results]) => [
    program,
    Object.fromEntries(
      ['inMBs', 'outMBs', 'peakMB'].map((key) => [key, spread(results.map((result) => result[key]))]),
    ),
  ])
  return { megabytes: counts.streamMB, ...Object.fromEntries(measured) }
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

function streamLines({ megabytes, ...programs }) {
  const lines = Object.entries(programs).map(
    ([program, { inMBs, outMBs, peakMB }]) =>
      `  ${program.padEnd(8)} in at ${range(inMBs)} MB/s, out at ${range(outMBs)} MB/s, peak ${range(peakMB, 1)} MB`,
  )
  return `\nA new process that puts a stream of ${number(megabytes)} MiB into one item, and reads that\n${lines.join('\n')}`
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
