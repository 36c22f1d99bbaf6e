/**
 * `fsq enqueue`: adds items. It does not use `Queue`, which loads all modules of the package and takes as long for that as many
 * enqueues.
 *
 * @module
 */
import { Reporter } from '../../report.js'
import { QueueDirectory } from '../../directory/open-directory.js'
import { Enqueuer } from '../../enqueue/enqueuer.js'
import { type Layout, layoutOf } from '../../directory/layout.js'
import { checkTimestampFormat } from '../../name/timestamp.js'
import type { Payload } from '../../enqueue/payload.js'
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { FAILURE, SUCCESS, someOperands, withSettings } from '../command.js'
import { say, write } from '../output.js'
import type { Waker } from '../wake.js'

export const options: OptionTable = {
  verbose: { short: 'v' },
  user: { short: 'u', value: 'a user' },
  group: { short: 'g', value: 'a group' },
  mode: { short: 'm', value: 'mode bits in octal' },
  file: { short: 'f', value: 'a file' },
  empty: { short: 'e' },
  trigger: { short: 't' },
  batch: {},
  null: { short: '0' },
  id: {},
}

export const help = `Usage: fsq enqueue [-etv] [-f file] [-u user] [-g group] [-m mode] [--id]
                   queue [argument ...]
       fsq enqueue --batch [-0tv] [option ...] queue [argument ...]

Adds an item with these arguments and the contents of standard input. Everything
after the name of the queue is an argument.

  -f, --file=FILE    take the contents from a file
  -e, --empty        no contents; do not read standard input
  -t, --trigger      pull the trigger of the queue
      --batch        add one item per line of standard input: a JSON array of
                     arguments, or {"args": [...], "data": text, "delay": ms},
                     with "json": value or "base64": bytes instead of "data"
  -0, --null         with --batch: take the bytes before each NUL as contents
  -u, --user=USER, -g, --group=GROUP, -m, --mode=MODE (octal)
                     set those of the file (FSQ_ITEM_USER, _GROUP, _MODE)
      --id           print the ids of the items, one per line
  -v, --verbose, -h, --help    say which items are added; this help

Examples:
  echo 'Hello Bob' | fsq enqueue --id mail bob@example.org
  find . -name '*.jpg' -print0 | fsq enqueue --batch -0 images
Exit codes: 0 success, 100 bad usage, 111 an error; messages say what was added.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const [name, ...args] = someOperands(given, 'the name of a queue')
  const isBatch = given.has('batch')
  if (isBatch && (given.has('file') || given.has('empty'))) {
    throw new UsageError('--batch reads the contents from standard input; leave out -f and -e')
  }
  if (given.has('null') && !isBatch) throw new UsageError('-0 goes with --batch')
  const own = resolveSettings(
    withSettings(settings, {
      itemUser: given.account('user'),
      itemGroup: given.account('group'),
      itemMode: given.mode('mode'),
    }),
  )
  checkTimestampFormat(own)
  const layout = layoutOf(name, own)
  const directory = new QueueDirectory(layout, own)
  try {
    // Before the input is read: it cannot be read again.
    await directory.open()
    // The command pulls the trigger itself, as its messages are for people.
    const enqueuer = new Enqueuer(directory, { ...own, useTrigger: false }, new Reporter(layout, undefined))
    const waker = given.has('trigger') ? await newWaker(layout) : undefined
    const isWhole = isBatch
      ? await enqueueMany(enqueuer, name, args, given, waker)
      : await enqueueOne(enqueuer, name, args, given, waker)
    return isWhole && waker?.hasFailed !== true ? SUCCESS : FAILURE
  } finally {
    directory.close()
    directory.closeDescriptors()
  }
}

async function newWaker(layout: Layout): Promise<Waker> {
  const { Waker } = await import('../wake.js')
  return new Waker(layout)
}

async function enqueueOne(
  enqueuer: Enqueuer,
  name: string,
  args: readonly string[],
  given: Arguments,
  waker: Waker | undefined,
): Promise<boolean> {
  const id = await enqueuer.enqueue(await payloadOf(given), args, {})
  if (given.has('verbose')) say(`${name} queue: new item queued: ${id}`)
  await waker?.pull(id)
  if (given.has('id')) writeIds([id])
  return true
}

async function payloadOf(given: Arguments): Promise<Payload> {
  const file = given.text('file')
  if (file === undefined && given.has('empty')) return null
  const { filePayload, inputPayload } = await import('../payload.js')
  return file === undefined ? inputPayload() : filePayload(file)
}

async function enqueueMany(
  enqueuer: Enqueuer,
  name: string,
  args: readonly string[],
  given: Arguments,
  waker: Waker | undefined,
): Promise<boolean> {
  const { enqueueBatch } = await import('../batch.js')
  const outcome = await enqueueBatch(enqueuer, args, {
    isNullSeparated: given.has('null'),
    onQueued: async (ids) => {
      await waker?.pull(`${ids.length} items`)
      if (given.has('id')) writeIds(ids)
    },
  })
  const { count } = outcome
  if (given.has('verbose') || !outcome.isWhole)
    say(`${name} queue: ${count} new ${count === 1 ? 'item' : 'items'} queued`)
  return outcome.isWhole
}

function writeIds(ids: readonly string[]): void {
  try {
    write(ids.map((id) => `${id}\n`).join(''))
  } catch (error) {
    if (ids.length === 1) say(`the id cannot be printed, and the item is queued: ${ids[0]}`)
    else say(`the last ${ids.length} ids cannot be printed, and the items are queued`)
    throw error
  }
}
