/**
 * What `fsq top` shows of a row that is opened.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import os from 'node:os'

import type { Layout } from '../../directory/layout.js'
import { nameText } from '../../inspect/entries.js'
import { activityOf, itemsOf } from '../../inspect/items.js'
import { Slices } from '../../inspect/slices.js'
import { errorText } from '../../meta/attempts.js'
import { readableLog } from '../../meta/failures.js'
import type { LogLine } from '../../meta/log.js'
import type { WorkerInfo } from '../../meta/workers.js'
import type { RawName } from '../../name/charset.js'
import { itemKey } from '../../name/item-name.js'
import type { Settings } from '../../settings.js'
import { explain } from '../advice.js'
import { lookInto, tableName } from '../queues.js'
import { age, count, moment, plural } from './figures.js'
import type { QueueView } from './model.js'
import { type Subject, itemText, progressText, workerName } from './rows.js'

const MOST_ITEMS = 100

/** The title of the details of a row. */
export function titleOf(subject: Subject): string {
  const { kind, queue } = subject
  const name = tableName(queue.layout)
  if (kind === 'queue') return `Queue ${name}`
  if (kind === 'worker') return `Worker ${workerName(subject.worker)} of ${name}`
  return `${plural(subject.group.items.length, 'failed item')} of ${name}: ${subject.group.reason}`
}

/** The facts of a row that change with each refresh. */
export function factsOf(subject: Subject, at: number): readonly string[] {
  if (subject.kind === 'queue') return queueFacts(subject.queue)
  return subject.kind === 'worker' ? workerFacts(subject, at) : []
}

/** What is read once, when the row is opened. */
export async function contentsOf(subject: Subject, settings: Settings): Promise<readonly string[]> {
  const { kind, queue } = subject
  const now = Date.now()
  if (kind === 'queue') return waitingItems(queue.layout, settings, now)
  if (kind === 'worker') {
    const { item } = subject
    if (item === undefined) return []
    return attempts(queue.layout, Buffer.from(item.key).toString('latin1'), now, '')
  }
  const { items } = subject.group
  const shown = items.slice(0, MOST_ITEMS).flatMap(({ raw, failedAt }) => {
    const id = nameText(raw)
    const { text } = itemText(id, settings)
    return [
      `${moment(failedAt, now)}  ${text}`,
      ...(text === id ? [] : [`  ${id}`]),
      ...attempts(queue.layout, itemKey(raw, settings.encode), now, '  '),
    ]
  })
  return items.length > MOST_ITEMS ? [...shown, `and ${count(items.length - MOST_ITEMS)} older`] : shown
}

function queueFacts(queue: QueueView): readonly string[] {
  const { layout, waiting, working, delayed, oldestAge, doneByMinute, done, failed, state, error } = queue
  return [
    fact('path', layout.path),
    fact('state', state),
    ...(error === undefined ? [] : [fact('error', explain(error))]),
    fact('in queue/', `${count(waiting)} waiting, ${working ?? '?'} working, ${count(delayed)} delayed`),
    fact('oldest', age(oldestAge)),
    fact('done/', `${count(done)}; by minute, the last one last: ${doneByMinute.map(count).join(' ')}`),
    fact('fail/', `${count(failed)}, of ${plural(queue.failures.length, 'kind')}`),
    '',
  ]
}

function workerFacts(subject: Subject & { readonly kind: 'worker' }, at: number): readonly string[] {
  const { worker, item } = subject
  const { id, started, concurrency, state, counters, items } = worker
  const program = programOf(worker)
  return [
    ...(program === undefined ? [] : [fact('program', program)]),
    ...(id === undefined ? [fact('file', 'none in meta/workers/: only its locks are known')] : []),
    ...(started === undefined ? [] : [fact('started', moment(started.getTime(), at))]),
    ...(state === undefined ? [] : [fact('state', state)]),
    fact('in hand', `${items.length}${concurrency === undefined ? '' : ` of ${concurrency} at a time`}`),
    ...(counters === undefined
      ? []
      : [
          fact(
            'so far',
            Object.entries(counters)
              .map(([name, number]) => `${count(Number(number))} ${name}`)
              .join(', '),
          ),
        ]),
    ...(item === undefined
      ? []
      : [
          fact('item', item.id),
          fact('since', item.since === undefined ? 'not known' : age(at - item.since.getTime())),
          fact('progress', progressText(item.progress) || '-'),
        ]),
    '',
  ]
}

/** The command line of a process of this machine. */
function programOf({ host, pid }: WorkerInfo): string | undefined {
  if (pid === undefined || host !== os.hostname()) return undefined
  try {
    return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim()
  } catch {
    return undefined
  }
}

async function waitingItems(layout: Layout, settings: Settings, now: number): Promise<readonly string[]> {
  const lines: string[] = []
  try {
    const items = lookInto(layout, settings, (directory) =>
      itemsOf(directory, settings, 'waiting', new Slices()),
    )
    for await (const item of items) {
      if (lines.length === MOST_ITEMS) return [...lines, 'and more']
      const { text } = itemText(nameText(item.parsed.raw), settings)
      lines.push(
        `${activityOf(item).padEnd(7)}  ${age(now - item.enqueuedAt).padStart(7)}  try ${item.parsed.tries + 1}  ${text}`,
      )
    }
  } catch (error) {
    return [explain(error)]
  }
  return lines.length > 0 ? lines : ['No item is in queue/.']
}

function attempts(layout: Layout, key: RawName, now: number, indent: string): readonly string[] {
  const lines = readableLog(layout, key)
  if (lines.length === 0) return [`${indent}(no attempt is logged)`]
  return lines.flatMap((line) => attempt(line, now).map((text) => indent + text))
}

function attempt(line: LogLine, now: number): readonly string[] {
  const at = moment(Date.parse(line.at), now)
  if ('redriven' in line) return [`${at}  retried by hand`]
  const worker = `${line.host}:${line.pid}`
  if ('crashed' in line) {
    const others = line.together === 1 ? '' : `, with ${line.together - 1} more in hand`
    return [`${at}  try ${line.try}  ${worker} died${others}`]
  }
  const [first = '', ...more] = errorText(line.error).split('\n')
  return [`${at}  try ${line.try}  ${worker}  ${line.ms} ms  ${first}`, ...more.map((text) => `  ${text}`)]
}

function fact(name: string, value: string): string {
  return `${name.padEnd(10)} ${value}`
}
