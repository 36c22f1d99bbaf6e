/**
 * `fsq watch`: a line for each thing that happens in queues.
 *
 * @module
 */
import { type Layout, shownName } from '../../directory/layout.js'
import { queuesIn } from '../../inspect/queues.js'
import { parseIfItem } from '../../inspect/states.js'
import { nameText } from '../../inspect/entries.js'
import { failureReason, readableLog } from '../../meta/failures.js'
import type { CrashLine, FailedLine } from '../../meta/log.js'
import { printableText } from '../../name/charset.js'
import type { RawName } from '../../name/charset.js'
import { itemKey } from '../../name/item-name.js'
import { type SettingOverrides, type Settings, resolveSettings } from '../../settings.js'
import type { Arguments, OptionTable } from '../arguments.js'
import { FAILURE } from '../command.js'
import { Lines, say } from '../output.js'
import { jsonName, queueNamed, tableName, withHosts } from '../queues.js'
import type { Change, What } from '../watch/changes.js'
import { QueueWatcher } from '../watch/watcher.js'
import { padded, widthOf } from '../width.js'

export const options: OptionTable = { json: {}, verbose: { short: 'v' } }

export const help = `Usage: fsq watch [-v] [--json] [queue ...]

Prints a line for each thing that happens in queues, all or those named, and in
those of their hosts, whatever program does it, until it is interrupted. Locks
nothing.

  enqueue, retry, done, fail   an item is new, waits again, or is finished
  redrive   a failed item is moved back to queue/, as fsq retry does
  gone      an item is discarded or removed
  crash     a worker has died with an item in hand
  down, up  scans are forbidden; allowed again

      --json      one JSON object per line
  -v, --verbose   say when the watch has begun
  -h, --help      this help

Example:
  fsq watch --json mail | jq -r 'select(.what == "fail") | .error.message'

Exit codes: 100 bad usage, 111 an error, or the last of the queues is removed.
`

const WIDEST_WHAT = 7

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const queues =
    given.operands.length > 0
      ? [...new Set(given.operands)].map((name) => queueNamed(name, own))
      : queuesIn(own)
  const layouts = withHosts(queues, own)
  const printer = new Printer(layouts, own, given.has('json'))
  const watchers = new Map<string, QueueWatcher>()
  try {
    await new Promise<void>((resolve, reject) => {
      printer.onError = reject
      for (const layout of layouts) {
        const watcher = new QueueWatcher(layout, own, {
          onChange: (change) => {
            printer.change(layout, change)
          },
          onCrash: (line) => {
            printer.crash(layout, line)
          },
          onDown: (isDown) => {
            printer.down(layout, isDown)
          },
          onRemoved: () => {
            say(`the ${shownName(layout)} has been removed`)
            watchers.delete(layout.path)
            if (watchers.size === 0) resolve()
          },
          onError: reject,
        })
        watchers.set(layout.path, watcher)
      }
      if (given.has('verbose')) say(`watching ${layouts.map(tableName).join(', ')}`)
      if (layouts.length === 0) resolve()
    })
  } finally {
    for (const watcher of watchers.values()) watcher.close()
    printer.end()
  }
  return FAILURE
}

/** What a line tells of its item. */
interface ItemNames {
  readonly id: string
  readonly key: string
  readonly args: readonly string[]
  /** `null`: its name is not that of an item. */
  readonly tries: number | null
}

/** Prints lines, those of one turn of the event loop at once. */
class Printer {
  readonly #settings: Settings
  readonly #isJson: boolean
  readonly #width: number
  readonly #lines = new Lines()
  #flushing: NodeJS.Immediate | undefined
  /** Called if standard output cannot be written to. */
  onError: (error: unknown) => void = () => undefined

  constructor(layouts: readonly Layout[], settings: Settings, isJson: boolean) {
    this.#settings = settings
    this.#isJson = isJson
    this.#width = Math.max(0, ...layouts.map((layout) => widthOf(printableText(tableName(layout)))))
  }

  change(layout: Layout, { what, raw, at }: Change): void {
    const names = this.#names(raw)
    const { id, tries } = names
    const log =
      what === 'fail' || what === 'retry' ? readableLog(layout, itemKey(raw, this.#settings.encode)) : []
    const last = log.at(-1)
    const failed = last !== undefined && 'error' in last && isOf(last, what, tries) ? last : undefined
    const reason = failed === undefined ? '' : failureReason([failed])
    this.#print(
      { layout, what, at },
      {
        ...names,
        ...(what === 'fail' || what === 'retry'
          ? { reason: failed?.reason ?? null, error: failed?.error ?? null, due: failed?.due ?? null }
          : {}),
      },
      [id, failed?.reason === undefined ? reason : `${failed.reason}: ${reason}`],
    )
  }

  crash(layout: Layout, { at, id, host, pid, together }: CrashLine): void {
    const others = together > 1 ? `, with ${together - 1} more in hand` : ''
    const names = this.#names(Buffer.from(id).toString('latin1'))
    this.#print({ layout, what: 'crash', at: Date.parse(at) }, { ...names, host, pid, together }, [
      id,
      `${host}:${pid} died${others}`,
    ])
  }

  #names(raw: RawName): ItemNames {
    const parsed = parseIfItem(raw, this.#settings)
    const key = nameText(itemKey(raw, this.#settings.encode))
    return { id: nameText(raw), key, args: parsed?.args ?? [], tries: parsed?.tries ?? null }
  }

  down(layout: Layout, isDown: boolean): void {
    this.#print({ layout, what: isDown ? 'down' : 'up', at: Date.now() }, {}, [])
  }

  /** Prints what is left. @throws {@link OutputError} */
  end(): void {
    clearImmediate(this.#flushing)
    this.#lines.flush()
  }

  #print(
    { layout, what, at }: { readonly layout: Layout; readonly what: string; readonly at: number },
    facts: Readonly<Record<string, unknown>>,
    columns: readonly string[],
  ): void {
    if (this.#isJson)
      this.#lines.add(JSON.stringify({ at: new Date(at).toISOString(), ...jsonName(layout), what, ...facts }))
    else {
      const cells = [
        localTime(at),
        padded(printableText(tableName(layout)), this.#width),
        what.padEnd(WIDEST_WHAT),
      ]
      const rest = columns.filter((text) => text !== '').map(printableText)
      this.#lines.add([...cells, ...rest].join('  ').trimEnd())
    }
    this.#flushing ??= setImmediate(() => {
      this.#flushing = undefined
      try {
        this.#lines.flush()
      } catch (error) {
        this.onError(error)
      }
    })
  }
}

/** Whether a line of the log is about the move: a worker that keeps no log may have made the last one. */
function isOf(line: FailedLine, what: What, tries: number | null): boolean {
  return what === 'fail' ? line.reason !== undefined : line.try === tries
}

/** `2026-11-26 12:04:31.123`, by the clock on the wall. */
function localTime(at: number): string {
  const date = new Date(at - new Date(at).getTimezoneOffset() * 60_000)
  return date.toISOString().slice(0, -1).replace('T', ' ')
}
