// The programs of the trials, and what they tell.
import { EventEmitter, once } from 'node:events'

import { EXPORT } from './machines.mjs'

export const FSQ = 'node /repo/dist/command/cli/main.js'
const WORKER = 'exec node /repo/scripts/nfs-lab/worker.mjs'

/** What the programs of one trial have told: [what, label, ...]. `at` is the time on the host, the one clock of all machines. */
export class Journal {
  #news = new EventEmitter()
  lines = []

  /** Starts a program (see worker.mjs) in a machine. */
  start(machine, ...words) {
    return machine.start(`${WORKER} ${words.join(' ')}`, (line) => {
      const [what, label, ...rest] = line.split(' ')
      this.lines.push({ at: performance.now(), machine, what, label, rest, text: `${machine.name}: ${line}` })
      this.#news.emit('line')
    })
  }

  /** All lines of one kind. */
  all(what) {
    return this.lines.filter((line) => line.what === what)
  }

  /** The first line that a machine has told, or will tell. */
  async first(machine, what) {
    for (;;) {
      const found = this.lines.find((line) => line.machine === machine && line.what === what)
      if (found !== undefined) return found
      await once(this.#news, 'line')
    }
  }

  /** Waits until `count` different items are done. */
  async done(count) {
    while (new Set(this.all('done').map(({ label }) => label)).size < count) await once(this.#news, 'line')
  }

  /** The items that a handler began with more than once. */
  get twice() {
    return repeated(this.all('begin').map(({ label }) => label))
  }

  /** What no program tells if nothing has gone wrong. */
  get problems() {
    return this.lines.map(({ text }) => text).filter((text) => !/: (fed|ready|begin|done)\b/.test(text))
  }
}

/** Installs a queue in the export. Its claims are renames, as it is on NFS. */
export async function install(machine, queue) {
  await machine.sh(`FSQ_ROOT=/q FSQ_ALLOW_NETWORK=1 ${FSQ} install ${queue}`)
}

export function repeated(labels) {
  return labels.filter((label, index) => labels.indexOf(label) !== index)
}

/** The labels of the items in a directory of the queue. */
export async function labelsIn(server, directory) {
  const names = await server.sh(`ls ${EXPORT}/${directory}`)
  return names.split('\n').map((name) => name.split('_').at(-1))
}

export async function end(...programs) {
  for (const program of programs) program.kill('SIGTERM')
  await Promise.all(programs.map(({ ended }) => ended))
}

/** With one decimal. */
export function secondsBetween(start, end) {
  return Number(((end - start) / 1000).toFixed(1))
}
