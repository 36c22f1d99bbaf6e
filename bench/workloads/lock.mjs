import { closeSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { timed } from '../lib/rounds.mjs'
import { lockPeers, ours } from '../peers/locks.mjs'

// A pair of calls on a descriptor takes less than a microsecond, so one item is several pairs.
const PAIRS_AN_ITEM = 20

/** Rows that lock and unlock without contention, each compared with its peer, if that is installed. */
export function lockRows({ counts }) {
  return Object.entries(lockPeers).flatMap(([kind, peer]) => {
    if (peer === undefined) return []
    const measure = kind === 'path' ? measurePath : measureDescriptor
    return {
      name: `locking ${kind}`,
      size: 0,
      durability: 'none',
      items: counts.items,
      contenders: [
        { name: 'fsq', measure: (folder, count) => measure(ours[kind], folder, count) },
        { name: peer.name, measure: (folder, count) => measure(peer.once, folder, count) },
      ],
    }
  })
}

async function measureDescriptor(once, folder, count) {
  const descriptor = openSync(join(folder, 'file'), 'w+')
  const { milliseconds } = await timed(folder, () => {
    for (let done = 0; done < count * PAIRS_AN_ITEM; done++) once(descriptor)
  })
  closeSync(descriptor)
  return milliseconds
}

async function measurePath(once, folder, count) {
  const file = join(folder, 'file')
  writeFileSync(file, '')
  const { milliseconds } = await timed(folder, async () => {
    for (let done = 0; done < count; done++) await once(file)
  })
  return milliseconds
}
