/**
 * The parts of received/, in which a receiver keeps what it must not forget (fsq standard, section 13).
 *
 *     received/SOURCE/lock              empty; locked by the receiver while it lives
 *     received/SOURCE/turn              of receivers that share the directory; locked by the one that decides about items
 *     received/SOURCE/staged/NAME       a complete item on its way to queue/, under the name that it will have there
 *     received/SOURCE/ledger-TIME       which messages have been received (ledger.ts)
 *
 * Neither tmp/ nor meta/ would do: repair sweeps files from tmp/ after 36 hours, and meta/ may be deleted.
 *
 * @module
 */
import path from 'node:path'

import type { Layout } from '../directory/layout.js'
import { RECEIVER_LOCK, RECEIVER_TURN, STAGED_DIRECTORY, receivedPath } from '../directory/received.js'

/** The paths of the receiver of one source. */
export interface ReceivedLayout {
  /** received/, received/SOURCE/ and received/SOURCE/staged/. */
  readonly directories: readonly string[]
  readonly path: string
  readonly lockPath: string
  readonly turnPath: string
  readonly stagedPath: string
  /** The layout with which an item is enqueued into staged/ instead of queue/, and moved on from there. */
  readonly staging: Layout
}

export function receivedLayout(layout: Layout, source: string): ReceivedLayout {
  const received = receivedPath(layout)
  const own = path.join(received, source)
  const stagedPath = path.join(own, STAGED_DIRECTORY)
  const staged = path.relative(layout.path, stagedPath)
  const [queue = '', tmp = '', , fail = ''] = layout.directories
  return {
    directories: [received, own, stagedPath],
    path: own,
    lockPath: path.join(own, RECEIVER_LOCK),
    turnPath: path.join(own, RECEIVER_TURN),
    stagedPath,
    // In the place of done/, which an enqueue does not use, stands the directory to which the items move on.
    staging: { ...layout, directories: [staged, tmp, queue, fail] },
  }
}
