import { comparisonsOf } from './comparisons.mjs'
import { describeType } from './filesystem.mjs'
import { isNoisy } from './statistics.mjs'
import { range } from './table.mjs'

const MIB = 2 ** 20
const NODE_FS = /node:fs|fs\/promises|writeFile|copyFile|pipeline|readFile|createReadStream/
/** The workloads that are measured with and without durability. */
const ADDS = /^(enqueue|large (?!read))/
/** Groups of workloads with one contender each: by their start. What follows it is the label of a row. */
const SHARED = [
  [/^(large (?:read, )?\w+)(?:, (.+))?$/, (start, against) => `${start}, against ${against}`],
  [/^()(\d+ process.*)$/, () => 'processes that share one backlog, against as many of the floor'],
  [/^(loop delay), (.+)$/, (_, against) => `delay of the event loop (p99), against ${against}`],
  [/^(behind) (.+)$/, (_, against) => `to claim an item behind others, against the ${against}`],
  [/^(stream of .+ MiB), (.+)$/, (start, against) => `${start}, against ${against}`],
]

/** The pictures of a file system. The first that fits a comparison has it. Items of 0 and 4,096 bytes are in the tables only. */
const FIGURES = [
  {
    name: 'large',
    title: 'Large payloads',
    has: ({ workload, size }) => size >= MIB || workload.startsWith('stream'),
  },
  {
    name: 'adding',
    title: 'Adding items of 64 bytes',
    has: ({ workload, size }) => workload.startsWith('enqueue') && size === 64,
  },
  {
    name: 'taking',
    title: 'Taking items of 64 bytes, waiting, locks, and start',
    has: ({ workload, size }) => size === undefined || size === 64 || workload.startsWith('locking'),
  },
]

/**
 * The pictures that show these results: how many times as fast as each other contender this package is.
 *
 * @param results - As --json writes them; all of one file system. Several make one picture, such as of runs with --only. What more than
 * one has is taken from the last.
 * @returns `{ name, title, subtitle, groups }`: each group has a title and `rows`, each of them `{ label, kind,
 * median, min, max, isNoisy, text }`. Only figures that have rows.
 */
export function figuresOf(results) {
  for (const result of results) check(result)
  const places = [
    ...new Set(results.map(({ fileSystem, machine }) => `${describeType(fileSystem)}, ${describe(machine)}`)),
  ]
  if (places.length > 1) throw new Error(`The results are of several places: ${places.join('; ')}`)
  const comparisons = new Map()
  for (const comparison of results.flatMap(comparisonsOf)) {
    const { workload, size, durability, against } = comparison
    comparisons.set(JSON.stringify([workload, size, durability, against]), comparison)
  }
  return FIGURES.map(({ name, title, has }, index) => {
    const isElsewhere = (comparison) => FIGURES.slice(0, index).some((earlier) => earlier.has(comparison))
    const shown = [...comparisons.values()].filter(
      (comparison) => has(comparison) && !isElsewhere(comparison),
    )
    return {
      name,
      title: `${title}: ${describeType(results[0].fileSystem)}`,
      subtitle: `${results.at(-1).date.slice(0, 10)}, ${describe(results[0].machine)}; ${results.at(-1).rounds} rounds`,
      groups: groupsOf(shown),
    }
  }).filter(({ groups }) => groups.length > 0)
}

function check(result) {
  const { quick, rows, fileSystem, machine, rounds } = result ?? {}
  if (!Array.isArray(rows) || fileSystem === undefined || machine === undefined || rounds === undefined)
    throw new Error('This is no result that the benchmark has written with --json')
  if (quick) throw new Error('A run with --quick is too short for a plot: its figures mean nothing')
}

function describe({ cpus, cpu, kernel, node }) {
  return `${cpus} CPUs (${cpu}), ${kernel}, Node ${node}`
}

function groupsOf(comparisons) {
  const groups = new Map()
  for (const comparison of comparisons) {
    const { title, label } = wordsOf(comparison)
    const { against, speed } = comparison
    const row = { label, kind: kindOf(against), ...speed, isNoisy: isNoisy(speed), text: range(speed, 2) }
    groups.set(title, [...(groups.get(title) ?? []), row])
  }
  return [...groups].map(([title, rows]) => ({ title, rows }))
}

/** A workload is a group with a row for each contender. Those with one contender share groups. */
function wordsOf({ workload, size, durability, against }) {
  const details = [
    ...(size >= MIB ? [`${size / MIB} MiB`] : []),
    ...(ADDS.test(workload) ? [durability === 'none' ? 'not durable' : 'durable'] : []),
  ]
  for (const [pattern, title] of SHARED) {
    const [, start, rest] = pattern.exec(workload) ?? []
    if (start === undefined) continue
    return { title: title(start, against), label: [rest, ...details].filter((part) => part).join(', ') }
  }
  return { title: [workload, ...details].join(', '), label: against }
}

function kindOf(against) {
  if (against.startsWith('floor')) return 'the floor'
  if (NODE_FS.test(against)) return 'node:fs'
  return against === 'loop' || against.startsWith('fsq') ? 'fsq itself' : 'other packages'
}
