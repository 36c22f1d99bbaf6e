import fs from 'node:fs'

import { expect, test } from '@jest/globals'

import { NotAQueueError, QueueMissingError } from '../../src/errors/classes.js'
import { queues } from '../../src/directory/queues.js'
import { checkError, errorOf, useTestBed } from '../support/queue.js'

const bed = useTestBed()

test('the queues of a root, and nothing else that is there', async () => {
  expect(await queues({ root: bed.root })).toEqual([])
  for (const name of ['b', 'a', 'ü', 'with space']) await bed.install({}, name)
  fs.writeFileSync(bed.path('file'), '')
  fs.mkdirSync(bed.path('directory'))
  fs.cpSync(bed.path('a'), bed.path('.fsq-abcdef'), { recursive: true })
  fs.cpSync(bed.path('a'), bed.path('half'), { recursive: true })
  fs.rmdirSync(bed.path('half', 'tmp'))
  fs.symlinkSync('a', bed.path('link'))
  fs.symlinkSync('loop', bed.path('loop'))
  fs.symlinkSync('nowhere', bed.path('dangling'))
  fs.cpSync(bed.path('a'), bed.path('linked'), { recursive: true })
  fs.rmdirSync(bed.path('linked', 'done'))
  fs.symlinkSync('fail', bed.path('linked', 'done'))
  expect(await queues({ root: bed.root })).toEqual(['a', 'b', 'link', 'with space', 'ü'])
})

test('names that are no text are skipped', async () => {
  await bed.install()
  const name = Buffer.concat([Buffer.from(`${bed.root}/`), Buffer.from([0x71, 0xff])])
  try {
    fs.mkdirSync(name)
  } catch (error) {
    // Some file systems take only names that are UTF-8.
    if ((error as NodeJS.ErrnoException).code !== 'EILSEQ') throw error
  }
  expect(await queues({ root: bed.root })).toEqual(['q'])
})

test('by other names of the directories', async () => {
  await bed.install({ queue: 'waiting' }, 'mine')
  await bed.install({}, 'theirs')
  expect(await queues({ root: bed.root, queue: 'waiting' })).toEqual(['mine'])
})

test('a root that is not there', async () => {
  checkError(await errorOf(async () => queues({ root: bed.path('none') })), {
    type: QueueMissingError,
    cause: 'ENOENT',
    path: bed.path('none'),
    says: /FSQ_ROOT/,
  })
})

test('a root that is a file', async () => {
  fs.writeFileSync(bed.path('file'), '')
  const error = await errorOf(async () => queues({ root: bed.path('file') }))
  expect(error).not.toBeInstanceOf(NotAQueueError)
  expect((error as Error).message).toMatch(/Cannot list the queues: not a directory/)
})
