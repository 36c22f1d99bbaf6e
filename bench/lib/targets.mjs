import { isNoisy } from './statistics.mjs'
import { number } from './table.mjs'

const MIB = 2 ** 20
const BOTH = (least) => ({ ext4: least, tmpfs: least })

/**
 * Targets for rows: at least this many times the rate of another contender, for this many bytes (64), on these file
 * systems.
 */
const RATIOS = [
  {
    name: 'enqueue bulk of 1,000',
    durability: 'none',
    against: 'floor, 2 threads',
    least: { ext4: 0.9, tmpfs: 0.75 },
  },
  { name: 'enqueue sync', durability: 'none', against: 'floor', least: BOTH(0.8) },
  { name: 'enqueue awaited', durability: 'none', against: 'floor', least: { ext4: 0.65, tmpfs: 0.3 } },
  { name: 'enqueue 64 in flight', durability: 'none', against: 'floor', least: { ext4: 0.85, tmpfs: 0.6 } },
  { name: 'enqueue sync', durability: 'enqueue', against: 'floor', least: { ext4: 0.85 } },
  { name: 'enqueue awaited', durability: 'enqueue', against: 'floor', least: { ext4: 0.88 } },
  {
    name: 'enqueue 64 in flight',
    durability: 'enqueue',
    against: 'floor, groups of 64',
    least: { ext4: 0.8 },
  },
  {
    name: 'enqueue 64 in flight',
    durability: 'enqueue',
    against: 'BullMQ, fsync always',
    least: { ext4: 1 },
  },
  { name: 'enqueue 64 in flight', durability: 'enqueue', against: 'plainjob FULL', least: { ext4: 3 } },
  {
    name: 'enqueue 64 in flight',
    size: MIB,
    durability: 'none',
    against: 'fs/promises, 64 in fl.',
    least: { ext4: 1 },
  },
  {
    name: 'enqueue 64 in flight',
    size: MIB,
    durability: 'enqueue',
    against: 'fs/promises, 64 in fl.',
    least: { ext4: 1.2 },
  },
  {
    name: 'large bytes, 64 in fl.',
    size: MIB,
    durability: 'none',
    against: 'writeFile, rename',
    least: { ext4: 1 },
  },
  {
    name: 'large bytes, 64 in fl.',
    size: MIB,
    durability: 'enqueue',
    against: 'writeFile, rename',
    least: { ext4: 1.2 },
  },
  ...[MIB, 16 * MIB].flatMap((size) => [
    { name: 'large read, bytes', size, against: 'readFile, rename', least: BOTH(0.95) },
    { name: 'large read, stream', size, against: 'createReadStream, rename', least: BOTH(0.95) },
  ]),
  { name: 'drain concurrency 16', against: 'floor', least: BOTH(0.85) },
  { name: 'drain concurrency 16', against: 'plainjob', least: BOTH(3) },
  { name: 'drain concurrency 16', against: 'BullMQ, no persistence', least: BOTH(1.4) },
  { name: 'drain concurrency 16', against: 'BullMQ, fsync always', least: { ext4: 8 } },
  { name: 'drain concurrency 1', against: 'floor', least: { ext4: 0.6, tmpfs: 0.5 } },
  { name: 'claims by rename, 16', against: 'floor', least: { ext4: 0.8 } },
  { name: 'work, 16 in flight', against: 'loop', least: BOTH(0.9) },
  { name: 'retry, 16 in flight', against: 'loop', least: BOTH(0.8) },
  { name: '2 processes', against: 'floor, 2 processes', least: BOTH(0.85) },
  { name: '8 processes', against: 'floor, 8 processes', least: BOTH(0.85) },
  { name: '1 process, 200 us', against: 'floor', least: BOTH(0.9) },
  { name: '2 processes, 200 us', against: 'floor, 2 processes', least: BOTH(0.9) },
  { name: 'locking flock', size: 0, against: 'fs-ext', least: BOTH(0.95) },
  { name: 'locking fcntl', size: 0, against: 'fs-native-extensions', least: BOTH(0.95) },
  { name: 'locking path', size: 0, against: 'proper-lockfile', least: BOTH(0.95) },
]
const SIZE = 64
const BACKLOG = { megabytes: 80 }
const MILLION = { milliseconds: 2000, megabytes: 200, kept: 0.85 }
const PICK_UP = { ratio: 1.2, work: 1.1, killedMs: 50, idle: 0.01 }
// In milliseconds.
const DELAY = { more: 1 }
const STREAM = { megabytes: 120 }
/** Items per second. A forwarder must not make done items faster than its worker removes them. */
const RETENTION = { rate: 15_000 }
/** Items per second. */
const HAND_OVER = { forward: 8000, receive: 5000, distribute: 5350 }
/** Memory with many items waiting, in times of that with few. */
const HAND_OVER_MEMORY = 1.15
/** `ratio`: to a bare upload. */
const PUSH = { rate: 2300, megabytes: 120, ratio: 0.7 }
const IMPORT = { milliseconds: 15 }
/** Targets for commands: milliseconds more than 'node -e 0' takes; with a type, only on that file system. */
const COMMANDS = [
  { command: 'fsq --help', milliseconds: 25 },
  { command: 'fsq enqueue -e', milliseconds: 30, type: 'tmpfs' },
]

/** The lines that compare each target with the measurement. */
export function targetLines({
  quick,
  fileSystem: { type, journal },
  rows,
  backlog,
  million,
  'pick-up': pickUp,
  'event loop delay': delay,
  stream,
  retention,
  'hand-over': handOver,
  push,
  'start-up': startup,
  'command start-up': commands,
}) {
  if (quick) return ['Too few items to judge the targets: run without --quick']
  const lines = RATIOS.flatMap((target) => ratioLines(target, rows, { type, journal }))
  if (backlog !== undefined) {
    const peak = backlog.fsq.peakMB.median
    lines.push(
      judged(
        peak < BACKLOG.megabytes,
        `${number(backlog.waiting)} waiting: below ${BACKLOG.megabytes} MB: ${number(peak, 1)} MB`,
      ),
    )
  }
  if (million !== undefined) lines.push(...millionLines(million))
  if (pickUp !== undefined) lines.push(...pickUpLines(pickUp))
  for (const { name, more } of delay?.forms ?? []) {
    lines.push(
      judged(
        more.median <= DELAY.more,
        `event loop delay, ${name}, p99: at most ${DELAY.more} ms more than fs/promises: ${number(more.median, 2)} ms`,
      ),
    )
  }
  if (stream !== undefined) {
    const { median } = stream.fsq.peakMB
    lines.push(
      judged(
        median < STREAM.megabytes,
        `stream of ${number(stream.megabytes)} MiB: below ${STREAM.megabytes} MB: ${number(median, 1)} MB`,
      ),
    )
  }
  if (retention !== undefined) {
    const { median } = retention.rate
    lines.push(
      judged(
        median >= RETENTION.rate,
        `retention: at least ${number(RETENTION.rate)} done items/s removed: ${number(median)}`,
      ),
    )
  }
  if (handOver !== undefined) lines.push(...handOverLines(handOver))
  if (push !== undefined) lines.push(...pushLines(push))
  if (startup !== undefined) {
    const { median } = startup.fsq.importMs
    lines.push(
      judged(
        median <= IMPORT.milliseconds,
        `import of 'fsq' within ${IMPORT.milliseconds} ms: ${number(median, 1)} ms`,
      ),
    )
  }
  if (commands !== undefined) lines.push(...commandLines(commands, type))
  return lines
}

function ratioLines({ name, size = SIZE, durability, against, least }, rows, { type, journal }) {
  return rows
    .filter(
      (row) => row.name === name && row.size === size && (durability ?? row.durability) === row.durability,
    )
    .flatMap((row) =>
      row.references.filter((reference) => reference.name === against).map((reference) => [row, reference]),
    )
    .map(([row, { ratio }]) => {
      const wanted = least[type]
      const size = row.size === SIZE ? '' : `, ${number(row.size)} bytes`
      const what = `${row.name}${size}, ${row.durability}: `
      // The cost of an fsync without a journal says nothing about other systems.
      if (wanted === undefined || journal === false) {
        return `not judged on ${type}${journal === false ? ' without a journal' : ''}: ${what}${number(ratio.median, 2)} of ${against}${doubt(ratio)}`
      }
      return `${verdictOf(ratio.median >= wanted)}: ${what}at least ${number(wanted, 2)} of ${against}: ${number(ratio.median, 2)}${doubt(ratio)}`
    })
}

function millionLines([few, many]) {
  const what = `${number(many.waiting)} waiting`
  const first = many.fsq.firstMs.median
  const peak = many.fsq.peakMB.median
  const kept = many.ratio.median / few.ratio.median
  return [
    judged(
      first <= MILLION.milliseconds,
      `${what}: first item within ${number(MILLION.milliseconds)} ms: ${number(first, 1)} ms`,
    ),
    judged(peak < MILLION.megabytes, `${what}: below ${MILLION.megabytes} MB: ${number(peak, 1)} MB`),
    judged(
      kept >= MILLION.kept,
      `${what}: at least ${MILLION.kept} of the ratio to the floor at ${number(few.waiting)}: ${number(kept, 2)}`,
    ),
  ]
}

function pickUpLines({ p50, p99, work, killed, idle }) {
  const { ratio: most, work: workMost, killedMs, idle: idleMost } = PICK_UP
  const busiest = Math.max(idle.empty.more.median, idle.held.more.median)
  return [
    ...Object.entries({ p50, p99 }).flatMap(([key, { references }]) =>
      Object.entries(references).map(([kind, { ratio }]) =>
        judged(
          ratio.median <= most,
          `pick-up, ${key}: at most ${most} of ${kind}: ${number(ratio.median, 2)}${doubt(ratio)}`,
        ),
      ),
    ),
    judged(
      work.ratio.median <= workMost,
      `pick-up by work(), p50: at most ${workMost} of scanForever(): ${number(work.ratio.median, 2)}`,
    ),
    ...killed.map(({ waiters, p99: took }) =>
      judged(
        took < killedMs,
        `pick-up after SIGKILL, ${waiters} waiting, p99: below ${killedMs} ms: ${number(took, 1)} ms`,
      ),
    ),
    judged(
      busiest < idleMost,
      `100 idle loops: below ${idleMost * 100} % of a CPU: ${number(busiest * 100, 2)} %`,
    ),
    judged(
      idle.workers.more.median < idleMost,
      `100 idle workers: below ${idleMost * 100} % of a CPU: ${number(idle.workers.more.median * 100, 2)} %`,
    ),
  ]
}

function handOverLines({ memory: [few, many], ...rates }) {
  const lines = Object.entries(HAND_OVER)
    .filter(([name]) => rates[name] !== undefined)
    .map(([name, least]) => {
      const { median } = rates[name].rate
      return judged(median >= least, `${name}: at least ${number(least)} items/s: ${number(median)}`)
    })
  if (many !== undefined)
    lines.push(
      judged(
        many.peakMB <= HAND_OVER_MEMORY * few.peakMB,
        `forward, ${number(many.waiting)} waiting: at most ${HAND_OVER_MEMORY} of the memory at ${number(few.waiting)}: ${number(many.peakMB / few.peakMB, 2)}`,
      ),
    )
  return lines
}

function pushLines({ small: { rate, peakMB }, megabytes, ratio }) {
  return [
    judged(rate.median >= PUSH.rate, `push: at least ${number(PUSH.rate)} items/s: ${number(rate.median)}`),
    judged(
      peakMB.median < PUSH.megabytes,
      `push, receiver: below ${PUSH.megabytes} MB: ${number(peakMB.median, 1)} MB`,
    ),
    judged(
      ratio.median >= PUSH.ratio,
      `push of ${number(megabytes)} MiB as a stream: at least ${PUSH.ratio} of node:http: ${number(ratio.median, 2)}${doubt(ratio)}`,
    ),
  ]
}

function commandLines({ commands }, here) {
  return COMMANDS.map(({ command, milliseconds, type = here }) => {
    const { median } = commands[command].more
    const what = `${command}: within ${milliseconds} ms more than node -e 0: ${number(median, 1)} ms`
    return type === here ? judged(median <= milliseconds, what) : `not judged on ${here}: ${what}`
  })
}

function doubt(ratio) {
  return isNoisy(ratio) ? ' (noisy)' : ''
}

function verdictOf(met) {
  return met ? 'met' : 'MISSED'
}

function judged(met, text) {
  return `${verdictOf(met)}: ${text}`
}
