// The workers' logs: one line of JSON when a run of an item begins and one when it ends.
import { openSync, writeSync } from 'node:fs'
import { readFile, readdir } from 'node:fs/promises'
import path from 'node:path'
import process from 'node:process'

/** Milliseconds on a clock that all processes of this machine share and that is never set. */
export function now() {
  return Number(process.hrtime.bigint()) / 1e6
}

/** The log of one worker. When `write` returns, the line is written, whatever happens to the process afterwards. */
export class Log {
  #descriptor

  constructor(folder, worker) {
    this.#descriptor = openSync(path.join(folder, `worker-${worker}.log`), 'a')
  }

  write(record) {
    writeSync(this.#descriptor, JSON.stringify({ at: now(), ...record }) + '\n')
  }
}

/**
 * All runs by the keys of their items, in the order of their starts: `{ worker, start, end }`. A run without an `end`
 * (`{ at, outcome, ... }`) did not finish.
 */
export async function readRuns(folder) {
  const runs = new Map()
  for (const name of await readdir(folder)) {
    const worker = Number(/\d+/.exec(name)[0])
    const open = new Map()
    for (const text of (await readFile(path.join(folder, name), 'utf8')).split('\n').slice(0, -1)) {
      const { event, key, ...record } = JSON.parse(text)
      if (event === 'end') {
        open.get(key).end = record
        open.delete(key)
        continue
      }
      const run = { worker, start: record, end: undefined }
      open.set(key, run)
      runs.set(key, [...(runs.get(key) ?? []), run])
    }
  }
  for (const all of runs.values()) all.sort((a, b) => a.start.at - b.start.at)
  return runs
}
