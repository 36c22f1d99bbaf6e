import { comparisonsOf } from './comparisons.mjs'
import { describeType } from './filesystem.mjs'
import { isNoisy } from './statistics.mjs'
import { range } from './table.mjs'

const MIB = 2 ** 20
const NODE_FS = /node:fs|fs\/promises|writeFile|copyFile|pipeline|readFile|createReadStream/
/** The workloads that are measured with and without durability. */
const ADDS = /^(enqueue|large (?!read))/

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
 * @returns `{ name, title, subtitle, groups }`: each group is a workload with a title and `rows`, each of them
 * `{ against, kind, median, min, max, isNoisy, text }`. Only figures that have rows.
 */
export function figuresOf(results) {
  for (const result of results) check(result)
  const places = new Set(results.map(({ fileSystem }) => describeType(fileSystem)))
  if (places.size > 1) throw new Error(`The results are of several file systems: ${[...places].join(', ')}`)
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
      title: `${title}: ${[...places][0]}`,
      subtitle: describe(results.at(-1)),
      groups: [...new Set(shown.map(titleOf))].map((group) => ({
        title: group,
        rows: shown.filter((comparison) => titleOf(comparison) === group).map(rowOf),
      })),
    }
  }).filter(({ groups }) => groups.length > 0)
}

function check(result) {
  const { quick, rows, fileSystem, machine, rounds } = result ?? {}
  if (!Array.isArray(rows) || fileSystem === undefined || machine === undefined || rounds === undefined)
    throw new Error('This is no result that the benchmark has written with --json')
  if (quick) throw new Error('A run with --quick is too short for a plot: its figures mean nothing')
}

/** The sizes of small items are those of the figure. */
function titleOf({ workload, size, durability }) {
  const parts = [workload]
  if (size >= MIB) parts.push(`${size / MIB} MiB`)
  if (ADDS.test(workload)) parts.push(durability === 'none' ? 'not durable' : 'durable')
  return parts.join(', ')
}

function rowOf({ against, speed }) {
  return {
    against,
    kind: kindOf(against),
    ...speed,
    isNoisy: isNoisy(speed),
    text: range(speed, 2),
  }
}

function kindOf(against) {
  if (against.startsWith('floor')) return 'the floor'
  if (NODE_FS.test(against)) return 'node:fs'
  return against === 'loop' || against.startsWith('fsq') ? 'fsq itself' : 'other packages'
}

function describe({ date, machine, rounds }) {
  return `${date.slice(0, 10)}, ${machine.cpus} CPUs (${machine.cpu}), ${machine.kernel}, Node ${machine.node}; ${rounds} rounds`
}
