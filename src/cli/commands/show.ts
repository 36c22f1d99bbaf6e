/**
 * `fsq show`: all that is known of items.
 *
 * @module
 */
import { type SettingOverrides, resolveSettings } from '../../settings.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { FAILURE, SUCCESS, someOperands } from '../command.js'
import { STATES } from '../../inspect/states.js'
import { itemJson } from '../item-json.js'
import { queueNamed } from '../queues.js'
import { Selection } from '../select.js'
import { printTable } from '../table.js'

export const options: OptionTable = { json: {} }

export const help = `Usage: fsq show [--json] queue item [item ...]

Shows the details of items, whatever their state. Name an item by its id, even
after its tries have changed, or by its key, which is the id without the tries.
Locks nothing.

      --json   one JSON object per line
  -h, --help   this help

Example:
  fsq show mail _20120710213904_0_13044_mss_0_bob

Exit codes: 0 success, 100 bad usage, 111 an error, or an item is not there.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const own = resolveSettings(settings)
  const [name, ...ids] = someOperands(given, 'the name of a queue')
  if (ids.length === 0) throw new UsageError('the id of an item is missing')
  const layout = queueNamed(name, own)
  const selection = new Selection(given, layout, own)
  for await (const item of selection.items(STATES)) {
    const json = itemJson(item, layout, own)
    const rows = Object.entries(json).map(([field, value]) => ({ json: {}, columns: [field, textOf(value)] }))
    if (given.has('json')) await printTable([], [{ json, columns: [] }], true)
    else await printTable(['FIELD', 'VALUE'], rows, false)
  }
  return selection.isWhole ? SUCCESS : FAILURE
}

function textOf(value: unknown): string {
  if (value === null) return '-'
  return typeof value === 'string' ? value : JSON.stringify(value)
}
