// Checks the results without the library: from the directories, the outputs and the workers' logs.
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { readFile, readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { inspect } from 'node:util'
import { createGunzip } from 'node:zlib'

import { readRuns } from './records.mjs'

const AT_ONCE = 4

/**
 * @param facts - `queue`; `work`, the folder of this run; `enqueued`, the names that were in queue/ before the first
 * worker started; `jobs`, the jobs that were to be enqueued; `killed`, who was killed, when, and the names of the
 * items that it held; `started`, in milliseconds since 1970.
 * @returns The values for the table, and `problems`: one line each.
 */
export async function check({ queue, work, enqueued, jobs, killed, started }) {
  const problems = []
  const expect = (isFine, problem) => isFine || problems.push(problem)

  const { queue: waiting, done, fail: failed, tmp } = await listQueue(queue)
  const runs = await readRuns(path.join(work, 'logs'))
  expect(enqueued.length === jobs.length, `${jobs.length} files, but ${enqueued.length} items were in queue/`)
  expect(waiting.length === 0, `still in queue/: ${some(waiting)}`)
  expect(tmp.length === 0, `left in tmp/: ${some(tmp)}`)

  // Each item is in exactly one place, and there is nothing that was not enqueued.
  const places = new Map(enqueued.map((name) => [keyOf(name), 0]))
  const foreign = []
  for (const name of [...waiting, ...done, ...failed]) {
    const key = keyOf(name)
    if (places.has(key)) places.set(key, places.get(key) + 1)
    else foreign.push(name)
  }
  const lost = [...places].filter(([, times]) => times === 0).map(([key]) => key)
  const doubled = [...places].filter(([, times]) => times > 1).map(([key]) => key)
  expect(lost.length === 0, `lost: ${some(lost)}`)
  expect(doubled.length === 0, `in two places: ${some(doubled)}`)
  expect(foreign.length === 0, `never enqueued: ${some(foreign)}`)

  // Each item was run to its end once, plus once for each failed try. Only the killed worker began without ending.
  const twice = []
  const broken = []
  for (const [key, all] of runs) {
    const final = all.filter(({ end }) => end !== undefined && end.outcome !== 'retry')
    if (final.length > 1) twice.push(key)
    if (all.some(({ end, worker }) => end === undefined && worker !== killed.number)) broken.push(key)
  }
  expect(twice.length === 0, `run to the end twice: ${some(twice)}`)
  expect(broken.length === 0, `begun by a live worker and never ended: ${some(broken)}`)

  // The place and the tries of each item match its runs.
  const outcomes = (name) => (runs.get(keyOf(name)) ?? []).flatMap(({ end }) => end?.outcome ?? [])
  const isAsRun = (name, outcome) => {
    const all = outcomes(name)
    return all.at(-1) === outcome && all.length - 1 === triesOf(name)
  }
  const misplaced = [
    ...done.filter((name) => !isAsRun(name, 'done')),
    ...failed.filter((name) => !isAsRun(name, 'failed')),
  ]
  expect(misplaced.length === 0, `not where its runs ended, or with other tries: ${some(misplaced)}`)

  const reasons = failed.map((name) => runs.get(keyOf(name))?.at(-1)?.end?.reason)
  const onPurpose = reasons.filter((reason) => reason === 'on purpose').length
  const hopeless = jobs.filter((job) => job.hopeless).length
  expect(onPurpose === hopeless, `${hopeless} were to fail, but ${onPurpose} did`)
  const unreadable = reasons.filter((reason) => reason !== 'on purpose')
  const retried = done.filter((name) => triesOf(name) > 0)

  const pickedUp = pickUps(killed, runs)
  expect(pickedUp.size > 0, 'the killed worker held nothing')
  const leftLying = [...pickedUp].filter(([, after]) => after === undefined).map(([key]) => key)
  expect(leftLying.length === 0, `held by the killed worker and never picked up: ${some(leftLying)}`)

  const outputs = await checkOutputs({ queue, work, done, runs, started })
  expect(outputs.wrong.length === 0, `outputs that are missing or wrong: ${some(outputs.wrong)}`)
  expect(outputs.surplus.length === 0, `outputs of items that are not done: ${some(outputs.surplus)}`)

  return {
    problems,
    enqueued: enqueued.length,
    done: done.length,
    failed: { onPurpose, unreadable },
    retried: retried.length,
    // sorted; undefined: never picked up
    pickedUp: [...pickedUp.values()].toSorted((a, b) => a - b),
    twice: new Set([...twice, ...doubled]).size,
    lost: lost.length,
    waiting: waiting.length,
    tmp: tmp.length,
    outputs: { right: outputs.right, changed: outputs.changed },
  }
}

async function listQueue({ path: folder, settings }) {
  const places = ['queue', 'done', 'fail', 'tmp']
  const lists = await Promise.all(places.map((place) => readdir(path.join(folder, settings[place]))))
  return Object.fromEntries(places.map((place, index) => [place, lists[index]]))
}

/** The fields of `_timestamp_entropy_pid_host_tries_args...`; the first character, whatever it is, separates them. */
function fieldsOf(name) {
  return name.slice(1).split(name[0])
}

function triesOf(name) {
  return Number(fieldsOf(name)[4])
}

/** The name without the tries, which the workers see as `item.key`. */
function keyOf(name) {
  return name[0] + fieldsOf(name).toSpliced(4, 1).join(name[0])
}

/** For each item that the killed worker held, by its key: the milliseconds until another worker began with it. */
function pickUps(killed, runs) {
  const keys = new Set(killed.held.map(keyOf))
  // It also held the item that it was working on. Not every system reports the open files of a process.
  for (const [key, all] of runs) {
    if (all.some(({ worker, end }) => worker === killed.number && end === undefined)) keys.add(key)
  }
  const after = (key) => {
    const begun = (runs.get(key) ?? []).find(({ start }) => start.at >= killed.at)
    return begun === undefined ? undefined : begun.start.at - killed.at
  }
  return new Map([...keys].map((key) => [key, after(key)]))
}

/** Goes over all files again, knowing only what the first pass left on the disk. */
async function checkOutputs({ queue, work, done, runs, started }) {
  const folder = path.join(work, 'outputs')
  const expected = new Set(done.map((name) => `${keyOf(name)}.gz`))
  const surplus = (await readdir(folder)).filter((name) => !expected.has(name))
  const result = { right: 0, changed: 0, wrong: [], surplus }

  const names = [...done]
  const worker = async () => {
    for (let name = names.pop(); name !== undefined; name = names.pop()) {
      const key = keyOf(name)
      const recorded = runs.get(key)?.at(-1)?.end?.sha256
      const unpacked = await sha256(path.join(folder, `${key}.gz`), createGunzip())
      const { path: file } = JSON.parse(
        await readFile(path.join(queue.path, queue.settings.done, name), 'utf8'),
      )
      if (unpacked === undefined || unpacked !== recorded) result.wrong.push(name)
      else if (unpacked === (await sha256(file))) result.right++
      else if (await hasChanged(file, started)) result.changed++
      else result.wrong.push(name)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return result
}

async function sha256(file, ...transforms) {
  const hash = createHash('sha256')
  const sink = new Writable({ write: (chunk, _, next) => next(void hash.update(chunk)) })
  try {
    await pipeline(createReadStream(file), ...transforms, sink)
  } catch {
    return undefined
  }
  return hash.digest('hex')
}

async function hasChanged(file, since) {
  try {
    return (await stat(file)).ctimeMs >= since
  } catch {
    return true
  }
}

function some(names) {
  const more = names.length > 3 ? ` and ${names.length - 3} more` : ''
  return (
    names
      .slice(0, 3)
      .map((name) => inspect(name))
      .join(', ') + more
  )
}
