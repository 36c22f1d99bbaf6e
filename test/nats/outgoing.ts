import { Buffer } from 'node:buffer'

import type { OutgoingItem } from 'fsq'

export const NEVER: AbortSignal = new AbortController().signal

/** An item on its way out, as a forwarder makes it. */
export function outgoing(
  id: string,
  contents: string | Uint8Array = 'text',
  args: readonly (string | Uint8Array)[] = [],
): OutgoingItem {
  const body = Buffer.from(contents)
  const argBytes = args.map((arg) => Buffer.from(arg))
  return {
    id,
    key: id,
    nameBytes: Buffer.from(id),
    args: argBytes.map((bytes) => bytes.toString()),
    argBytes,
    enqueuedAt: new Date(1_700_000_000_000),
    tries: 2,
    size: body.length,
    bytes: async () => body,
    async *stream() {
      for (let from = 0; from < body.length; from += 65_536) yield body.subarray(from, from + 65_536)
    },
  }
}
