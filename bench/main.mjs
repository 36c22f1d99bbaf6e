/** Measures this package against the bare system calls, node:fs and other queues (bench/README.md). */
import { statfsSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, tmpdir, type } from 'node:os'
import { resolve } from 'node:path'
import { performance } from 'node:perf_hooks'
import process from 'node:process'
import { parseArgs } from 'node:util'

import { comparisonsOf, noiseLines, noiseSummary } from './lib/comparisons.mjs'
import { describe, fileSystemOf } from './lib/filesystem.mjs'
import { buildFloor } from './lib/floor.mjs'
import { BenchFolder } from './lib/folder.mjs'
import { checkVega, plot } from './lib/plot.mjs'
import { interleave } from './lib/rounds.mjs'
import { ratioOf, spread } from './lib/statistics.mjs'
import { head, line, number, range } from './lib/table.mjs'
import { targetLines } from './lib/targets.mjs'
import { findPeers } from './peers/index.mjs'
import { among } from './workloads/among.mjs'
import { backlog } from './workloads/backlog.mjs'
import { commandStartup } from './workloads/command-startup.mjs'
import { drainRows, renameRows } from './workloads/drain.mjs'
import { enqueueRows } from './workloads/enqueue.mjs'
import { handOver } from './workloads/hand-over.mjs'
import { largeRows } from './workloads/large.mjs'
import { lockRows } from './workloads/lock.mjs'
import { loopDelay } from './workloads/loop-delay.mjs'
import { million } from './workloads/million.mjs'
import { pickUp } from './workloads/pickup.mjs'
import { processesRows } from './workloads/processes.mjs'
import { push } from './workloads/push.mjs'
import { readRows } from './workloads/read.mjs'
import { retention } from './workloads/retention.mjs'
import { startup } from './workloads/startup.mjs'
import { stream } from './workloads/stream.mjs'
import { workRows } from './workloads/work.mjs'

const USAGE = `npm run bench [-- [--dir DIR] [--quick] [--json FILE] [--plot PREFIX] [--only NAME]]

  --dir DIR      measure on the file system of this folder (default: that of temporary files)
  --quick        few items, rounds and sizes: about a minute
  --json FILE    also write all measurements, again after each workload
  --plot PREFIX  at the end, also draw the results, like npm run bench:plot
  --only NAME    only workloads whose name has NAME in it, such as drain or 'enqueue sync'
`

/** Workloads that are rows of the table: contenders that do the same work, in items per second. */
const ROWS = [enqueueRows, largeRows, drainRows, renameRows, readRows, workRows, processesRows, lockRows]
/**
 * Workloads with output of their own: `{ name, measure(run), lines(result), bytes(counts)? }`. `bytes`: the space
 * needed on the file system.
 */
const REPORTS = [
  backlog,
  million,
  among,
  pickUp,
  loopDelay,
  stream,
  retention,
  handOver,
  push,
  startup,
  commandStartup,
]

const FULL = {
  rounds: 7,
  sizes: [0, 64, 4096, 1024 * 1024],
  longRounds: 3,
  counts: {
    items: 5000,
    durable: 500,
    large: 100,
    huge: 12,
    peers: 2000,
    shared: 20_000,
    waiting: 100_000,
    few: 10_000,
    million: 1_000_000,
    among: 100_000,
    pickUps: 1000,
    kills: 100,
    idleAfterMs: 5000,
    idleMs: 5000,
    looped: 50_000,
    done: 50_000,
    streamMB: 5120,
    warmUp: 5000,
  },
}
const QUICK = {
  rounds: 2,
  sizes: [0, 64, 1024 * 1024],
  longRounds: 1,
  counts: {
    items: 500,
    durable: 64,
    large: 4,
    huge: 0,
    peers: 200,
    shared: 1000,
    waiting: 10_000,
    few: 1000,
    million: 10_000,
    among: 2000,
    pickUps: 50,
    kills: 3,
    idleAfterMs: 200,
    idleMs: 200,
    looped: 2000,
    done: 2000,
    streamMB: 64,
    warmUp: 100,
  },
}

/** A workload takes up to 20 s with --quick, where the machine is not busy. */
const QUICK_LIMIT_S = 600

const options = optionsOrExit()
if (options.help) {
  process.stdout.write(USAGE)
} else {
  await main(options.dir)
  // The servers of other queues are still running, and would keep this process alive.
  process.exit()
}

function optionsOrExit() {
  try {
    const { values } = parseArgs({
      options: {
        dir: { type: 'string', default: tmpdir() },
        quick: { type: 'boolean', default: false },
        json: { type: 'string' },
        plot: { type: 'string' },
        only: { type: 'string', default: '' },
        help: { type: 'boolean', default: false },
      },
    })
    if (values.plot !== undefined) {
      if (values.quick) throw new Error('--plot does not go with --quick, whose figures mean nothing')
      // Not after an hour.
      checkVega()
    }
    return values
  } catch (error) {
    process.stderr.write(`${error.message}\n\n${USAGE}`)
    process.exit(2)
  }
}

async function main(parent) {
  const { rounds, longRounds, sizes, counts } = options.quick ? QUICK : FULL
  const folder = new BenchFolder(resolve(parent))
  const { peers, missing } = await findPeers(folder)
  const all = ROWS.flatMap((rows) => rows({ counts, sizes, peers }))
  const chosen = all.filter(({ name }) => name.includes(options.only))
  const reports = REPORTS.filter(({ name }) => name.includes(options.only))
  if (chosen.length === 0 && reports.length === 0) {
    const names = [...new Set([...all, ...REPORTS].map(({ name }) => name))]
    process.stderr.write(`No workload has '${options.only}' in its name. There are: ${names.join(', ')}\n`)
    process.exit(2)
  }

  buildFloor()
  const fileSystem = fileSystemOf(folder.path)
  const machine = machineOf()
  say(`${folder.path}: ${describe(fileSystem)}`)
  say(`${machine.kernel}, Node ${machine.node}, ${machine.cpus} CPUs (${machine.cpu}), load ${machine.load}`)
  if (missing.length > 0) say(`Not compared with: ${missing.join(', ')}`)
  say(`Items a second, median (min-max) of ${rounds} interleaved rounds; ratios round by round.`)

  const result = {
    date: new Date().toISOString(),
    quick: options.quick,
    rounds,
    machine,
    fileSystem,
    missing,
    seconds: {},
    rows: [],
  }
  if (chosen.length > 0) say(`\n${head()}`)
  for (const row of chosen) {
    const begin = performance.now()
    const measured = await limited(row.name, () => measureRow(row, { rounds, warmUp: counts.warmUp, folder }))
    result.rows.push(measured)
    say(rowLines(measured))
    finish(result, row.name, begin, { rows: [measured] })
  }
  for (const { name, measure, lines, bytes } of reports) {
    if (bytes?.(counts) > bytesFree(folder.path)) {
      say(`\nSkipped: ${name}, which needs ${number(bytes(counts) / 1e6)} MB`)
      continue
    }
    const begin = performance.now()
    result[name] = await limited(name, () => measure({ counts, rounds, longRounds, folder }))
    sayAll(['', ...lines(result[name])])
    finish(result, name, begin, { rows: [], [name]: result[name] })
  }
  sayAll(['', ...targetLines(result)])
  if (!options.quick) sayAll(['', ...noiseSummary(comparisonsOf(result))])
  sayAll(['', ...secondsLines(result.seconds)])
  if (options.plot !== undefined) sayAll(await plot([result], options.plot))
}

/** With --quick a workload that waits for ever rejects: it would hold up CI, and not say which it is. */
async function limited(name, run) {
  if (!options.quick) return run()
  let timer
  const limit = new Promise((resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`'${name}' takes more than ${QUICK_LIMIT_S} s`)),
      QUICK_LIMIT_S * 1000,
    )
  })
  return Promise.race([run(), limit]).finally(() => clearTimeout(timer))
}

/** Warns of noise in what a workload has measured, and saves all results so far: a long run may be cut short. */
function finish(result, name, begin, measured) {
  // With --quick all figures are noise.
  if (!result.quick) sayAll(noiseLines(comparisonsOf(measured)))
  result.seconds[name] = (result.seconds[name] ?? 0) + (performance.now() - begin) / 1000
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`)
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
      ratio: ratioOf(ours.samples, reference.samples),
    })),
  }
}

function rowLines({ name, size, durability, fsq, references }) {
  return references
    .map(({ name: reference, rate, ratio }, index) => {
      const own = index === 0 ? [name, String(size), durability, range(fsq.rate)] : ['', '', '', '']
      return line([...own, reference, range(rate), range(ratio, 2)])
    })
    .join('\n')
}

/** How long the workloads took, for runs in parts. */
function secondsLines(seconds) {
  const total = Object.values(seconds).reduce((sum, each) => sum + each, 0)
  const parts = Object.entries(seconds).map(([name, each]) => `${name} ${number(each)}`)
  return [`Took ${number(total)} s: ${parts.join('; ')}`]
}

function bytesFree(path) {
  const { bavail, bsize } = statfsSync(path)
  return bavail * bsize
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

function sayAll(lines) {
  for (const line of lines) say(line)
}

function say(text) {
  process.stdout.write(`${text}\n`)
}
