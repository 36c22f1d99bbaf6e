/**
 * File systems whose directory entries say nothing of types (ext2 made without filetype, xfs with ftype=0, some FUSE, NFS at times).
 * The fault build has any file system be one; and there is a real one, for what Node reads.
 */
import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { expect } from '@jest/globals'

import { FileSystemError } from '../../src/errors/classes.js'
import { useCommandBed } from '../support/command.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { given, isRoot, onLinux } from '../support/needs.js'
import {
  type ProgramOptions,
  type ShownError,
  checkError,
  inProgram,
  itemName,
  plant,
} from '../support/queue.js'

const bed = useCommandBed()

const LOOKS = `
  const reports = []
  const queue = new Queue('q', { root: given.root, onReport: ({ type }) => reports.push(type) })
  const listed = []
  for await (const { args } of queue.items()) listed.push(args[0])
  const counts = await queue.counts()
  const found = await queue.find(given.key)
  const isEmpty = [await queue.isEmpty()]
  const scanned = []
  for await (const item of queue.scan()) {
    scanned.push(item.args[0])
    await item.discard()
  }
  isEmpty.push(await queue.isEmpty())
  await queue.close()
  return { listed, counts, found: found?.args[0], isEmpty, scanned, reports }`

const SEEN = {
  listed: ['a', 'é', 'c'],
  counts: { waiting: 3, done: 1, failed: 2, tmp: 1 },
  found: 'c',
  isEmpty: [false, true],
  scanned: ['a', 'é', 'c'],
  reports: ['foreign', 'foreign'],
}

/** In each directory there are files, a directory and a link. @returns A key. */
async function fill(): Promise<string> {
  const queue = await bed.bed.install({ root: bed.root })
  const ids = await queue.enqueueMany([{ args: ['a'] }, { args: ['é'] }, { args: ['c'] }])
  plant(queue, itemName(), '', 'done')
  plant(queue, itemName({ entropy: 1, tries: 3, args: ['\xc3\xa9'] }), '', 'fail')
  plant(queue, itemName({ entropy: 2, tries: 3 }), '', 'fail')
  plant(queue, itemName(), '', 'tmp')
  for (const place of ['queue', 'done', 'fail', 'tmp']) {
    fs.mkdirSync(path.join(queue.path, place, 'directory'))
    fs.symlinkSync('nowhere', path.join(queue.path, place, 'link'))
  }
  return (await queue.find(ids[2] ?? ''))?.key ?? ''
}

const untyped = (faults = ''): ProgramOptions => ({
  given: { root: bed.root },
  flags: ['--require', FAULT_BUILD],
  env: { FSQ_FAULTS: `list.getdents=answer:0;${faults}` },
})

const inShell = { env: { NODE_OPTIONS: `--require "${FAULT_BUILD}"`, FSQ_FAULTS: 'list.getdents=answer:0' } }

async function expectCommands(options: { env?: NodeJS.ProcessEnv } = {}): Promise<void> {
  const ids = async (state: string): Promise<number> =>
    (await bed.sh(`fsq list --json -s ${state} q`, options)).stdout.split('\n').filter(Boolean).length
  expect([await ids('waiting'), await ids('done'), await ids('failed')]).toEqual([3, 1, 2])
  const [row] = (await bed.sh('fsq list --json', options)).stdout.split('\n')
  expect(JSON.parse(row ?? '')).toMatchObject({ waiting: 3, done: 1, failed: 2 })
  const audited = await bed.sh('fsq audit q', options)
  expect(audited.stdout.match(/ no regular file/g)).toHaveLength(8)
  expect(await bed.sh('fsq retry -a q', options)).toEqual({ code: 0, stdout: '', stderr: '' })
  expect([await ids('waiting'), await ids('failed')]).toEqual([5, 0])
}

onLinux('items, counts, find by key, isEmpty and scan see files as files', async () => {
  const key = await fill()
  const seen = await inProgram(LOOKS, { ...untyped(), given: { root: bed.root, key } })
  expect(seen).toEqual(SEEN)
})

onLinux('fsq list, audit and retry do so, too', async () => {
  await fill()
  await expectCommands(inShell)
})

onLinux('an entry that is gone by the time of the look is skipped', async () => {
  await fill()
  const counts = await inProgram(
    "return new Queue('q', { root: given.root }).counts()",
    untyped(`list.stat#1=errno:${os.constants.errno.ENOENT}`),
  )
  const { waiting, done, failed, tmp } = counts as typeof SEEN.counts
  expect(waiting + done + failed + tmp).toBeGreaterThanOrEqual(6)
})

onLinux('an entry that cannot be examined is an error and is not skipped', async () => {
  await fill()
  const error = await inProgram<ShownError>(
    "return errorOf(() => new Queue('q', { root: given.root }).counts())",
    untyped(`list.stat#1=errno:${os.constants.errno.EIO}`),
  )
  checkError(error, { type: FileSystemError, cause: 'EIO', syscall: 'fstatat', says: /Cannot list/ })
})

// A kernel that has ext2, and a loop device.
const canLoop =
  isRoot && spawnSync('losetup', ['-f']).status === 0 && spawnSync('mkfs.ext2', ['-V']).status === 0

given(canLoop).test('ext2 made without types', async () => {
  const image = bed.bed.path('image')
  fs.closeSync(fs.openSync(image, 'w'))
  fs.truncateSync(image, 4 * 1024 * 1024)
  execFileSync('mkfs.ext2', ['-q', '-O', '^filetype', image])
  execFileSync('mount', ['-o', 'loop', image, bed.root])
  try {
    await fill()
    await expectCommands()
    const { stdout } = await bed.sh('fsq stats --json q; fsq prune --keep 0 q; fsq list --json')
    expect(stdout).toContain('"done":1')
    expect(stdout).toMatch(/"done":0.*\n$/)
    await bed.sh('fsq uninstall -f q')
    const key = await fill()
    expect(await inProgram(LOOKS, { given: { root: bed.root, key } })).toEqual(SEEN)
    // Node looks for it by a name that it takes for text.
    plant(bed.bed.open({ root: bed.root }), itemName({ args: ['\xff'] }))
    const isEmpty = "return new Queue('q', { root: given.root }).isEmpty()"
    expect(await inProgram(isEmpty, { given: { root: bed.root } })).toBe(false)
  } finally {
    execFileSync('umount', ['-l', bed.root])
  }
})
