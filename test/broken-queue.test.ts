import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

import { describe, expect, test } from '@jest/globals'

import type { EnqueueManyError } from '../src/errors/classes.js'
import { NotAQueueError, QueueMissingError } from '../src/errors/classes.js'
import type { Queue } from '../src/queue.js'
import { checkError, drain, errorOf, itemName, names, plant, useTestBed } from './support/queue.js'

const bed = useTestBed()

type Use = (queue: Queue) => Promise<unknown>

const uses: readonly (readonly [string, Use])[] = [
  ['enqueue', async (queue) => queue.enqueue('x')],
  ['enqueue of nothing', async (queue) => queue.enqueue(null)],
  ['enqueue of a file', async (queue) => queue.enqueue({ path: import.meta.filename })],
  ['enqueueSync', async (queue) => queue.enqueueSync('x')],
  ['enqueueMany', async (queue) => queue.enqueueMany([{ data: 'x' }, { data: 'y' }])],
  ['scan', async (queue) => drain(queue)],
  ['items', async (queue) => queue.items().next()],
  ['find', async (queue) => queue.find(itemName())],
  ['counts', async (queue) => queue.counts()],
]

describe.each(uses)('%s', (_what, use) => {
  test('of a queue that is missing', async () => {
    checkError(await errorOf(async () => use(bed.open())), {
      type: QueueMissingError,
      cause: 'ENOENT',
      syscall: 'open',
      path: bed.path('q'),
      says: /^There is no queue 'q' in .*Install it with Queue\.install\('q'\), or set the option 'root' \(FSQ_ROOT\)/,
    })
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test('in a root that is missing', async () => {
    checkError(await errorOf(async () => use(bed.open({ root: bed.path('no', 'where') }))), {
      type: QueueMissingError,
      cause: 'ENOENT',
      path: bed.path('no', 'where', 'q'),
      says: /Install it with/,
    })
  })

  test('of a file', async () => {
    fs.writeFileSync(bed.path('q'), 'precious')
    checkError(await errorOf(async () => use(bed.open())), {
      type: NotAQueueError,
      cause: 'ENOTDIR',
      syscall: 'open',
      path: bed.path('q'),
      says: /\/q is not a queue, as it is not a directory\. Move it out of the way and install the queue/,
    })
    expect(fs.readFileSync(bed.path('q'), 'utf8')).toBe('precious')
  })

  test('of a link that leads in a circle', async () => {
    fs.symlinkSync('q', bed.path('q'))
    checkError(await errorOf(async () => use(bed.open())), {
      type: NotAQueueError,
      cause: 'ELOOP',
      syscall: 'open',
      path: bed.path('q'),
      says: /is a symbolic link that leads in a circle\. Make the link lead to the queue/,
    })
  })

  const parts = ['queue', 'tmp', 'done', 'fail'] as const
  const harms: readonly (readonly [string, 'ENOENT' | 'ENOTDIR', RegExp, (part: string) => void])[] = [
    ['is missing', 'ENOENT', /is missing\. Put the directory back/, () => undefined],
    [
      'is a file',
      'ENOTDIR',
      /is not a directory \(symbolic links are not followed\)\. Put the directory back/,
      (part) => fs.writeFileSync(part, ''),
    ],
    [
      'is a link to a directory',
      'ENOTDIR',
      /is not a directory \(symbolic links are not followed\)\. Put the directory back/,
      (part) => {
        fs.mkdirSync(bed.path('elsewhere'))
        fs.symlinkSync(bed.path('elsewhere'), part)
      },
    ],
  ]

  test.each(parts.flatMap((part) => harms.map((harm) => [part, harm[0], harm] as const)))(
    'of a directory whose %s/ %s',
    async (part, _harm, [, cause, says, harm]) => {
      const queue = await bed.install()
      const where = path.join(queue.path, part)
      fs.rmdirSync(where)
      harm(where)
      checkError(await errorOf(async () => use(bed.open())), {
        type: NotAQueueError,
        cause,
        path: where,
        says,
      })
      if (fs.existsSync(bed.path('elsewhere'))) expect(fs.readdirSync(bed.path('elsewhere'))).toEqual([])
      expect(fs.readdirSync(queue.path)).toHaveLength(harm === harms[0]?.[3] ? 3 : 4)
    },
  )
})

test('items of a removed directory are an error of the scan, not of the process', async () => {
  const queue = await bed.install()
  await queue.enqueue('x')
  fs.renameSync(path.join(queue.path, 'queue'), bed.path('away'))
  checkError(await errorOf(async () => drain(queue)), {
    type: NotAQueueError,
    cause: 'ENOENT',
    path: bed.path('q', 'queue'),
    says: /is missing\. Put the directory back/,
  })
  fs.renameSync(bed.path('away'), path.join(queue.path, 'queue'))
  expect(await drain(queue)).toHaveLength(1)
})

test('many things go wrong at once: each is one error of its own, and the rest goes on', async () => {
  const queue = await bed.install()
  plant(queue, 'malformed')
  fs.symlinkSync('nowhere', path.join(queue.path, 'queue', 'link'))
  fs.mkdirSync(path.join(queue.path, 'queue', 'directory'))
  execFileSync('mkfifo', [path.join(queue.path, 'queue', 'fifo')])
  plant(queue, itemName({ tries: 9 }))
  const error = await errorOf(async () =>
    queue.enqueueMany([
      { data: 'a' },
      { data: { path: bed.path('missing') } },
      { args: ['\ud800'] },
      { data: 'b' },
    ]),
  )
  expect((error as EnqueueManyError).outcomes.map((outcome) => 'id' in outcome)).toEqual([
    true,
    false,
    false,
    true,
  ])
  expect(await drain(queue)).toHaveLength(2)
  expect(bed.reportTypes().sort()).toEqual(['exhausted', 'foreign', 'foreign', 'foreign', 'malformed'])
  expect(names(queue, 'queue')).toEqual(['directory', 'fifo', 'link'])
  expect(names(queue, 'tmp')).toEqual([])
})
