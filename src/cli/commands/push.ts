/**
 * `fsq push`: brings items to a queue on another machine.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import fs from 'node:fs'
import path from 'node:path'

import { Place, native } from '../../addon/native.js'
import { placePath } from '../../directory/layout.js'
import { FsqError, PushError } from '../../errors/classes.js'
import { codeOf } from '../../errors/errno.js'
import { tryLock } from '../../meta/files.js'
import { bytePath, toRaw } from '../../name/charset.js'
import { parseItemName, withTries } from '../../name/item-name.js'
import { Queue } from '../../queue.js'
import type { SettingOverrides } from '../../settings.js'
import { explain } from '../advice.js'
import { type Arguments, type OptionTable, UsageError } from '../arguments.js'
import { FAILURE, SUCCESS } from '../command.js'
import { PUSH_OPTIONS, checkPushUrl, pushRemote } from '../engines.js'
import { say } from '../output.js'
import { FORWARD_OPTIONS, forwardAll } from './forward.js'

const OPERANDS = 5
const STDIN = 0

export const options: OptionTable = {
  ...FORWARD_OPTIONS,
  ...PUSH_OPTIONS,
  interval: { value: 'seconds' },
  follow: {},
  'no-lock': { short: 'L' },
  trigger: { short: 't' },
  'ignore-listener': { short: 'i' },
  protocol: { short: 'p', value: 'jsonrpc' },
}

export const help = `Usage: fsq push [option ...] url src_queue trg_queue host item ...
       fsq push --follow [option ...] url src_queue trg_queue [host]

Brings items of the host queue src_queue/hosts/host to the queue trg_queue of
the receiver at the url, and leaves them where they are: under fsq scan, that
makes them done. With --follow, items go as they come, and are done here when
they have arrived there; without a host, they are those of src_queue itself.

  url                   http://[user:password@]host:port, https://..., or
                        unix:///path of a socket
  -t, --trigger         pull the trigger of trg_queue, too
  -i, --ignore-listener it is no error if nothing listens to it
  -L, --no-lock         push items that others hold; not with --follow
  -p, --protocol=NAME   jsonrpc, the only one
  -v, --verbose         a line for each item; -h, --help  this help
      --tls-ca=FILE, --tls-cert=FILE, --tls-key=FILE    for https
      --timeout=SECONDS for an answer (60); -1, --once  end when no item is left
  -j, --jobs=N          items in flight (64); 1 keeps the order
      --connections=N   at most (16); --rate=N  items in a second
      --keep=AGE, --in-doubt=..., --name=NAME, --json, --interval=SECONDS
                        as in fsq forward
Example:
  fsq push --follow https://edge:secret@example.org:8181 orders orders
Exit codes: 0; 100 bad usage; 111 an error, or --once and not all has arrived.
`

/** See `help`. */
export async function run(given: Arguments, settings: SettingOverrides): Promise<number> {
  const protocol = given.text('protocol') ?? 'jsonrpc'
  if (protocol !== 'jsonrpc') return given.refuse('protocol', 'jsonrpc')
  if (given.has('follow')) return follow(given, settings)
  const [url, source, target, host, ...items] = given.operands
  if (
    url === undefined ||
    source === undefined ||
    target === undefined ||
    host === undefined ||
    items.length === 0
  )
    throw new UsageError(`${OPERANDS} operands are needed: url src_queue trg_queue host item ...`)
  checkPushUrl(url)
  await using queue = new Queue(host, { ...settings, root: hostsOf(source, settings) })
  const { Sender } = await import('../../remote/sender.js')
  const sender = new Sender(url, target, pushRemote(given))
  try {
    for (const item of items) {
      if (given.has('verbose'))
        say(
          `pushing item ${item} to remote ${sender.client.shown} from queue ${source}, host queue ${host} to queue ${target}`,
        )
      await pushOne(queue, item, sender, !given.has('no-lock'))
      if (given.has('trigger')) await pull(queue, sender, given.has('ignore-listener'))
    }
    return SUCCESS
  } catch (error) {
    if (!(error instanceof PushError)) throw error
    say(explain(error))
    return FAILURE
  } finally {
    sender.client.close()
  }
}

async function follow(given: Arguments, settings: SettingOverrides): Promise<number> {
  const [url, source, target, host, ...more] = given.operands
  if (url === undefined || source === undefined || target === undefined || more.length > 0)
    throw new UsageError('with --follow, the operands are url src_queue trg_queue [host]')
  checkPushUrl(url)
  const place = host === undefined ? settings : { ...settings, root: hostsOf(source, settings) }
  return forwardAll(given, host ?? source, place, { url, queue: target })
}

/** The directory of the host queues of a queue. */
function hostsOf(source: string, settings: SettingOverrides): string {
  const queue = new Queue(source, settings)
  return path.join(queue.path, queue.settings.hosts)
}

interface SenderLike {
  send(item: {
    readonly nameBytes: Uint8Array
    readonly size: number
    bytes(): Promise<Uint8Array>
    stream(): AsyncIterable<Uint8Array>
  }): Promise<void>
  pullTrigger(trigger: string, ignoreListener: boolean): Promise<void>
}

async function pushOne(queue: Queue, id: string, sender: SenderLike, isLocking: boolean): Promise<void> {
  const { directory, settings } = queue.worked.context
  const raw = toRaw(id, settings.charset)
  parseItemName(raw, settings)
  const handle = await directory.open()
  const kind = native.usesFcntl(handle) ? 'fcntl' : 'flock'
  const file = bytePath(placePath(directory.layout, Place.queue), raw)
  const opened = await openItem(file, isLocking && kind === 'fcntl')
  try {
    const info = await opened.stat()
    if (!info.isFile()) throw new FsqError(`The item ${id} is no regular file`)
    if (isLocking && !isOnStdin(info) && !tryLock(opened.fd, kind))
      throw new FsqError(`Another worker holds the item ${id}`, {
        advice: 'Under a scan of another program, use -L: that scan holds the item',
      })
    await sender.send({
      nameBytes: Buffer.from(withTries(raw, 0, settings.encode), 'latin1'),
      size: info.size,
      bytes: async () => opened.readFile(),
      stream: () => opened.createReadStream({ autoClose: false, start: 0, highWaterMark: 1024 * 1024 }),
    })
  } finally {
    await opened.close()
  }
}

async function openItem(file: Buffer, isForWriting: boolean): Promise<fs.promises.FileHandle> {
  const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = fs.constants
  try {
    return await fs.promises.open(file, (isForWriting ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') throw new FsqError(`There is no item ${path.basename(file.toString())}`)
    throw error
  }
}

/** Whether a scan has started this program for the item: the scan holds its lock, and it is standard input. */
function isOnStdin({ dev, ino }: fs.Stats): boolean {
  try {
    const stdin = fs.fstatSync(STDIN)
    return stdin.dev === dev && stdin.ino === ino
  } catch {
    return false
  }
}

/** The item has arrived, whatever becomes of this. */
async function pull(queue: Queue, sender: SenderLike, ignoreListener: boolean): Promise<void> {
  try {
    await sender.pullTrigger(queue.settings.trigger, ignoreListener)
  } catch (error) {
    say(`the item has arrived, and its trigger was not pulled: ${explain(error)}`)
  }
}
