import { Blob } from 'node:buffer'
import { createWriteStream, mkdirSync, writeFileSync } from 'node:fs'
import { copyFile, open, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

import { lanes } from '../lib/lanes.mjs'
import { pagedPayloads } from '../lib/payloads.mjs'
import { timed } from '../lib/rounds.mjs'
import { openFsq } from '../peers/fsq.mjs'
import { openNodeFs } from '../peers/node-fs.mjs'

const MIB = 2 ** 20
const CHUNK = 64 * 1024
/** For each size: how many are in flight, by the name of the row; `count`: which of the counts says how many items. */
const SIZES = [
  { size: MIB, count: 'large', widths: { awaited: 1, '64 in fl.': 64 } },
  { size: 16 * MIB, count: 'huge', widths: { awaited: 1 } },
]

/**
 * For each form: `prepare` makes, before the clock starts, a function that gives the payload; `write` puts that payload into a
 * file of fs/promises, as users would write it, and makes it durable if asked to. `against` is its name in the table.
 */
const FORMS = {
  bytes: {
    prepare: (payload) => () => payload,
    against: 'writeFile, rename',
    write: (file, bytes, flush) => writeFile(file, bytes, { flag: 'wx', flush }),
  },
  string: {
    prepare(payload) {
      const text = payload.toString('latin1')
      return () => text
    },
    against: 'writeFile, rename',
    write: (file, text, flush) => writeFile(file, text, { flag: 'wx', flush }),
  },
  path: {
    prepare(payload, source) {
      writeFileSync(source, payload)
      return () => ({ path: source })
    },
    against: 'copyFile, rename',
    async write(file, { path }, flush) {
      await copyFile(path, file)
      if (flush) await sync(file)
    },
  },
  stream: {
    prepare: (payload) => () => readableOf(payload),
    against: 'pipeline, rename',
    write: (file, stream, flush) => pipeline(stream, createWriteStream(file, { flags: 'wx', flush })),
  },
  Blob: {
    prepare(payload) {
      const blob = new Blob([payload])
      return () => blob
    },
    against: 'writeFile, rename',
    write: (file, blob, flush) => writeFile(file, blob.stream(), { flag: 'wx', flush }),
  },
}

/** Rows that add large items, in each form that a payload can have. */
export function largeRows({ counts }) {
  return ['none', 'enqueue'].flatMap((durability) =>
    SIZES.filter(({ count }) => counts[count] > 0).flatMap(({ size, count, widths }) =>
      Object.entries(FORMS).flatMap(([form, { prepare, against, write }]) =>
        Object.entries(widths).map(([way, width]) => {
          const contender = (name, openStore, run) => ({
            name,
            measure: (folder, items) =>
              measure({ folder, count: items, size, durability, width, prepare, openStore, run }),
          })
          return {
            name: `large ${form}, ${way}`,
            size,
            durability,
            items: counts[count],
            contenders: [
              contender('fsq', openFsq, (store, data) => store.enqueue(data)),
              contender(against, openNodeFs, (store, data) =>
                store.enqueueBy((file, flush) => write(file, data, flush)),
              ),
            ],
          }
        }),
      ),
    ),
  )
}

async function measure({ folder, count, size, durability, width, prepare, openStore, run }) {
  const payloads = pagedPayloads(count, size)
  const sources = join(folder, 'sources')
  mkdirSync(sources)
  const prepared = payloads.map((payload, index) => prepare(payload, join(sources, String(index))))
  const root = join(folder, 'queue')
  mkdirSync(root)
  const store = await openStore(root, { durability })
  const ids = []
  const { milliseconds } = await timed(folder, () =>
    lanes(count, width, async (index) => {
      ids[index] = await run(store, prepared[index]())
    }),
  )
  store.checkEnqueued(ids, payloads)
  await store.close()
  return milliseconds
}

/** In chunks as a file or a socket gives them. */
function readableOf(payload) {
  let position = 0
  return new Readable({
    highWaterMark: CHUNK,
    read() {
      this.push(position < payload.length ? payload.subarray(position, (position += CHUNK)) : null)
    },
  })
}

async function sync(path) {
  const file = await open(path, 'r+')
  await file.sync()
  await file.close()
}
