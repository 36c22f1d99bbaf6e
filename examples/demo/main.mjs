// The demo: real files through a real queue, worked by several processes, one of which is killed on the way.
//
//     npm run demo [-- [folder] [--files N] [--workers N]]
//
// Here is what a program does that fills a queue and looks after it; worker.mjs has what a worker does.
import { mkdtempSync, realpathSync } from 'node:fs'
import { mkdir, readdir, rm } from 'node:fs/promises'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { setTimeout } from 'node:timers/promises'
import { inspect } from 'node:util'

import { Queue } from 'fsq'

import { check } from './check.mjs'
import { Crew } from './crew.mjs'
import { CannotRunError, OffError, endingOf, interruption } from './endings.mjs'
import { findFiles } from './files.mjs'
import { planJobs } from './jobs.mjs'
import { USAGE, readOptions } from './options.mjs'
import { Progress, color, count, number, print, printError, printTable, seconds, status } from './output.mjs'
import { now } from './records.mjs'
import { QUEUE, settingsIn } from './settings.mjs'
import { rowsOf } from './table.mjs'

const LOOK_MS = 100

try {
  process.exit(await main())
} catch (error) {
  const { code, text } = endingOf(error)
  if (text !== '') printError(text)
  process.exit(code)
}

/** @returns The exit code. */
async function main() {
  const options = readOptions(process.argv.slice(2))
  if (options.help) {
    print(USAGE)
    return 0
  }
  const { files, skipped } = await findFiles(options.folder, options.files)
  // From here on there is something to clean up, whatever happens.
  const interrupted = interruption()
  print(`${color('bold', 'fsq demo')}: ${count(files.length, 'file')} of ${inspect(options.folder)}`)
  for (const [reason, times] of skipped) print(`  skipped, ${reason}: ${number(times)}`)
  const work = makeWorkFolder()
  const crew = new Crew(work)
  try {
    return await Promise.race([
      interrupted,
      demo(planJobs(options.folder, files), options.workers, work, crew),
    ])
  } finally {
    await crew.dismiss()
    await rm(work, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 })
  }
}

function makeWorkFolder() {
  try {
    return mkdtempSync(path.join(realpathSync(os.tmpdir()), 'fsq-demo-'))
  } catch (error) {
    throw new CannotRunError(
      `No temporary folder can be made in ${inspect(os.tmpdir())}: ${error.message}. Set TMPDIR to a folder that you may write to`,
    )
  }
}

/** @returns The exit code. */
async function demo(jobs, workers, work, crew) {
  const started = Date.now()
  const settings = settingsIn(work)
  await mkdir(settings.root)
  for (const name of ['outputs', 'parts', 'logs']) await mkdir(path.join(work, name))

  // A queue is a directory: it appears whole, or not at all.
  const queue = await Queue.install(QUEUE, settings)

  // The contents of an item say what to do. Its arguments become part of the name of its file, where people can see
  // them. Once this resolves, a power cut loses none of the items.
  let since = now()
  status(`  enqueuing ${count(jobs.length, 'item')}`)
  await queue.enqueueMany(jobs.map(({ label, ...job }) => ({ data: { json: job }, args: [label] })))
  const enqueued = await readdir(path.join(queue.path, queue.settings.queue))
  print(`  ${count(jobs.length, 'item')} enqueued durably in ${seconds(now() - since)}, one file each:`)
  print(`  ${inspect(enqueued[0])}`)

  since = now()
  for (let worker = 0; worker < workers; worker++) crew.hire()
  print(`  ${count(workers, 'worker process', 'worker processes')} at work: gzip and SHA-256 of each file`)

  const progress = new Progress(jobs.length)
  let killed
  while (crew.isWorking()) {
    await setTimeout(LOOK_MS)
    // Counting takes no locks, so it delays no worker.
    progress.show(await queue.counts())
    const stalled = killed === undefined ? await crew.stalled() : undefined
    if (stalled === undefined) continue
    killed = await crew.kill(stalled, path.join(queue.path, queue.settings.queue))
    const successor = crew.hire()
    print(
      `  worker ${killed.number} (process ${killed.pid}) killed in the middle of an item; ` +
        `worker ${successor.number} takes its place`,
    )
  }
  const took = now() - since
  await queue.close()

  status('  reading the directories, unpacking the outputs')
  const found = await check({ queue, work, enqueued, jobs, killed, started })
  print()
  printTable(rowsOf(found, took))
  print()
  if (found.problems.length > 0) throw new OffError(`Something is off:\n${found.problems.join('\n')}`)
  print(`${color('green', 'All as it should be')}: nothing lost, nothing done twice.`)
  return 0
}
