/**
 * `fsq wait`: waits for the end of items.
 *
 * @module
 */
import type { QueueDirectory } from '../../directory/open-directory.js'
import { ageText } from '../../inspect/age-text.js'
import { type Finished, finished } from '../../meta/finished.js'
import { printableText } from '../../name/charset.js'
import { type SettingOverrides, type Settings, resolveSettings } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { errorJson, errorLine } from '../attempts.js'
import { SUCCESS, someOperands } from '../command.js'
import { say, write } from '../output.js'
import { lookInto, queueNamed } from '../queues.js'
import { timerOption } from '../timer-option.js'

export const options: OptionTable = { json: {}, timeout: { short: 't', value: 'an age, as 90s, 5m or 12h' } }

export const help = `Usage: fsq wait [--json] [-t age] queue item [item ...]

Waits until items have ended, and prints a line for each when it has: done,
failed with its last error, or gone (removed, discarded, or never enqueued).
Any process may work the items. Locks nothing.

  -t, --timeout=AGE  stop waiting after AGE: 90s, 5m or 12h; the items that have
                     not ended by then are 'waiting'
      --json         one JSON object per line
  -h, --help         this help

Name an item by its id or its key, which stays the same after retries.

Example:
  id=$(fsq enqueue --id -f page.pdf ocr) && fsq wait -t 10m ocr "$id"

Exit codes: 0 all are done, 1 an item has failed, 2 an item is gone and none has
failed, 124 the timeout has passed, 100 bad usage, 111 an error.
`

const FAILED = 1
const GONE = 2
/** As that of timeout(1). */
const TIMED_OUT = 124

type End = Finished | { readonly state: 'waiting' }

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const [name, ...ids] = someOperands(given, 'the name of a queue')
  if (ids.length === 0) throw new UsageError('the id of an item is missing')
  const timeout = timerOption(given, 'timeout')
  const layout = queueNamed(name, own)
  const counts = { done: 0, failed: 0, gone: 0, waiting: 0 }
  const signal = timeout === undefined ? undefined : AbortSignal.timeout(timeout)
  for await (const [id, end] of lookInto(layout, own, (directory) =>
    endsOf(directory, own, new Set(ids), signal),
  )) {
    counts[end.state]++
    write(`${given.has('json') ? JSON.stringify(jsonOf(layout.name, id, end)) : lineOf(id, end)}\n`)
  }
  if (counts.waiting > 0) {
    const items = counts.waiting === 1 ? '1 item has' : `${counts.waiting} items have`
    say(`${items} not ended after ${ageText((timeout ?? 0) / 1000)}`)
    return TIMED_OUT
  }
  if (counts.failed > 0) return FAILED
  return counts.gone > 0 ? GONE : SUCCESS
}

/** The ends of items, as they come. */
async function* endsOf(
  directory: QueueDirectory,
  settings: Settings,
  ids: ReadonlySet<string>,
  signal: AbortSignal | undefined,
): AsyncGenerator<readonly [string, End], void, undefined> {
  const ready: (readonly [string, End])[] = []
  let problem: { readonly error: unknown } | undefined
  let notify: () => void = () => undefined
  for (const id of ids) {
    endOf(directory, settings, id, signal)
      .then((end) => ready.push([id, end]))
      .catch((error: unknown) => (problem ??= { error }))
      .finally(() => {
        notify()
      })
  }
  for (let ended = 0; ended < ids.size;) {
    while (ready.length === 0 && problem === undefined)
      await new Promise<void>((resolve) => (notify = resolve))
    if (problem !== undefined) throw problem.error
    const ends = ready.splice(0)
    ended += ends.length
    yield* ends
  }
}

async function endOf(
  directory: QueueDirectory,
  settings: Settings,
  id: string,
  signal: AbortSignal | undefined,
): Promise<End> {
  try {
    return await finished(directory, settings, id, { signal })
  } catch (error) {
    if (signal?.aborted === true && error === signal.reason) return { state: 'waiting' }
    throw error
  }
}

function lineOf(id: string, end: End): string {
  const error = end.state === 'failed' ? end.attempts.at(-1)?.error : undefined
  const why = error === undefined ? '' : `  ${errorLine(error)}`
  return printableText(`${end.state.padEnd('waiting'.length)}  ${id}${why}`)
}

function jsonOf(queue: string, named: string, end: End): Readonly<Record<string, unknown>> {
  const error = end.state === 'failed' ? end.attempts.at(-1)?.error : undefined
  return {
    queue,
    named,
    id: 'id' in end ? end.id : null,
    state: end.state,
    error: error === undefined ? null : errorJson(error),
  }
}
