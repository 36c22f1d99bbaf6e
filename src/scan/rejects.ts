/**
 * The files in queue/ that a scan does not hand out: those that go to fail/ without being run, and those that it leaves alone.
 *
 * @module
 */
import { inspect } from 'node:util'

import { type ClaimNote, ENTRY_TYPES, NoteKind, Place, type QueueHandle, native } from '../addon/native.js'
import { fileSystemError } from '../errors/system-error.js'
import type { Claim } from '../item/claims.js'
import type { ItemContext } from '../item/context.js'
import type { Rejection } from '../item/limits.js'
import { type Moved, isGone } from '../item/moves.js'
import { printable } from '../name/charset.js'

/** Reports what a scan does not hand out. */
export class Rejects {
  readonly #context: ItemContext

  constructor(context: ItemContext) {
    this.#context = context
  }

  /** Moves a claimed file to fail/ and reports why. An error of the listener rejects. */
  async fail(claim: Claim, rejection: Rejection): Promise<void> {
    const { claims, directory, reporter } = this.#context
    const { name } = claim
    const move = { claim, place: Place.fail, to: name, due: 0 }
    let moved: Moved
    try {
      moved = await claims.moves.make(move)
    } catch (error) {
      // The queue handle is closed: nothing else would release the claim.
      claims.unlock(claim)
      throw error
    }
    if (moved.left) {
      claims.finished(claim)
      const renamed = moved.name === name ? '' : ` as ${inspect(printable(moved.name))}`
      reporter.report(rejection.type, name, `${rejection.message}: moved to fail/${renamed}`, rejection.error)
      return
    }
    // The item has not been run, so another worker may have it; and the scan goes on with the others.
    claims.unlock(claim)
    const { failure } = moved
    if (failure === undefined || isGone(failure)) return
    const error = directory.error(failure, 'move an item to fail/ in')
    reporter.report(
      'unmovable',
      name,
      `${rejection.message}, and cannot be moved to fail/: ${error.message}`,
      error,
    )
  }

  /** Reports a name that native code has skipped. */
  report(note: ClaimNote, handle: QueueHandle): void {
    const { reporter, directory } = this.#context
    switch (note.kind) {
      case NoteKind.foreign:
        reporter.report(
          'foreign',
          note.name,
          `is ${ENTRY_TYPES[note.type] ?? 'unknown'}, not a regular file, and is left alone. Remove it`,
        )
        break
      case NoteKind.unreadable: {
        const failure = note.failure ?? { errno: 0, syscall: 'openat' }
        const error = fileSystemError(directory.located(failure), 'open an item')
        const needs = native.usesFcntl(handle)
          ? '. The fcntl locks of this queue need items that each worker may open for writing: enqueue with an ' +
            'FSQ_ITEM_MODE such as 0660'
          : ''
        reporter.report('unreadable', note.name, `is left alone: ${error.message}${needs}`, error)
        break
      }
      default:
        reporter.report('completed', note.name, 'had been moved already; its old name was removed')
    }
  }
}
