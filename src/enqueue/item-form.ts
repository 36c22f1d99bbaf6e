/**
 * The form of the names and files of new items, as the settings ask for it.
 *
 * @module
 */
import { type ItemForm, native } from '../addon/native.js'
import { ownerOf } from '../directory/owner.js'
import type { Settings } from '../settings.js'

/**
 * @param exact - Whether items get exactly the names that they are given.
 * @throws {@link SettingError}: there is no such user or group.
 */
export function itemFormOf(settings: Settings, exact = false): ItemForm {
  return native.newItemForm({
    delimiter: settings.delimiter.charCodeAt(0),
    escape: settings.encode.charCodeAt(0),
    timeFormat: settings.timefmt,
    utc: settings.utc,
    ...ownerOf(settings, 'item'),
    mode: settings.itemMode,
    durable: settings.durability !== 'none',
    plainSync: settings.sync === 'plain',
    exact,
  })
}
