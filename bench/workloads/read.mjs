import { Buffer } from 'node:buffer'
import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'

import { checkChunk, pagedPayloads } from '../lib/payloads.mjs'
import { timed } from '../lib/rounds.mjs'
import { openFsq } from '../peers/fsq.mjs'
import { openNodeFs } from '../peers/node-fs.mjs'

const MIB = 2 ** 20
const SIZES = [
  { size: MIB, count: 'large' },
  { size: 16 * MIB, count: 'huge' },
]

/** For each way to read: how an item is read, and how a file is. */
const WAYS = {
  bytes: {
    item: async (item) => ({ contents: await item.bytes() }),
    against: 'readFile, rename',
    file: async (path) => ({ contents: await readFile(path) }),
  },
  text: {
    item: async (item) => ({ text: await item.text() }),
    against: 'readFile, rename',
    file: async (path) => ({ text: await readFile(path, 'utf8') }),
  },
  stream: {
    item: (item) => drained(item.stream()),
    against: 'createReadStream, rename',
    file: (path) => drained(createReadStream(path)),
  },
}

/** Rows that take, read and finish large items one after the other, from listing the directory to the last rename. */
export function readRows({ counts }) {
  return SIZES.filter(({ count }) => counts[count] > 0).flatMap(({ size, count }) =>
    Object.entries(WAYS).map(([name, way]) => {
      const contender = (contenderName, openStore) => ({
        name: contenderName,
        measure: (folder, items) => measure({ folder, count: items, size, openStore, way }),
      })
      return {
        name: `large read, ${name}`,
        size,
        durability: 'none',
        items: counts[count],
        contenders: [contender('fsq', openFsq), contender(way.against, openNodeFs)],
      }
    }),
  )
}

async function measure({ folder, count, size, openStore, way }) {
  const payloads = pagedPayloads(count, size)
  const store = await openStore(folder)
  for (const payload of payloads) await store.enqueue(payload)
  const { milliseconds, result } = await timed(folder, () => store.readAll(way))
  store.checkRead(
    result.map(({ text, ...read }) => (text === undefined ? read : { ...read, contents: Buffer.from(text) })),
    payloads,
  )
  await store.close()
  return milliseconds
}

/** Drops the chunks, as a consumer would that passes them on. */
async function drained(stream) {
  let length = 0
  let number
  for await (const chunk of stream) {
    number = checkChunk(chunk, length, number)
    length += chunk.length
  }
  return { number, length }
}
