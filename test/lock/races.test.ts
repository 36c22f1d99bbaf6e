import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { beforeEach, describe, expect, test } from '@jest/globals'

import { lockSync, tryLockSync } from '../../src/lock.js'
import { Child, type Line, makeDirectory, until } from '../support/child.js'

type Code = keyof typeof os.constants.errno

let directory: string
let file: string
let gate: string

beforeEach(() => {
  directory = makeDirectory()
  file = path.join(directory, 'file')
  gate = path.join(directory, 'gate')
})

function start(faults: string, steps: readonly string[], options: object = {}): Child {
  return new Child('take-locks.mjs', { path: file, options, steps }, { faults })
}

async function outcomes(child: Child): Promise<readonly Line[]> {
  expect({ ...(await child.ended), stderr: child.stderr }).toEqual({ code: 0, signal: null, stderr: '' })
  return child.said('step')
}

/** The child stands still at its gate. */
async function stands(): Promise<void> {
  await until('the child waits at the gate', () => fs.existsSync(gate))
}

function letGo(): void {
  fs.unlinkSync(gate)
}

test.each(['lock.look', 'lock.open', 'lock.fstat'])(
  'a file that is replaced after %s: what the path names then is locked',
  async (point) => {
    fs.writeFileSync(file, '')
    const child = start(`${point}#1=pause-after:${gate};lock.stat#2=pause-after:${gate}`, ['path'])
    await stands()
    fs.writeFileSync(`${file}.new`, '')
    fs.renameSync(`${file}.new`, file)
    letGo()
    // The look comes before the open, which then finds the new file at once.
    if (point !== 'lock.look') {
      await stands()
      expect(tryLockSync(file)).toBeUndefined()
      letGo()
    }
    expect(await outcomes(child)).toMatchObject([{ result: 'granted', state: { held: true }, claims: 1 }])
  },
)

test('a file that is removed before each look back counts as taken', async () => {
  const faults = `lock.stat=errno:${os.constants.errno.ENOENT}`
  expect(await outcomes(start(faults, ['path']))).toMatchObject([{ result: 'busy', claims: 0 }])
})

test('flock: a lock that another caller takes during an upgrade is reported as lost', async () => {
  const other = lockSync(file, { shared: true })
  // The third call takes the shared lock back.
  const steps = ['path', 'tryUpgrade', 'tryUpgrade']
  const child = start(`lock.lock#3=pause:${gate}`, steps, { shared: true })
  await stands()
  other.upgradeSync()
  letGo()
  const lost = { error: { code: 'ERR_FSQ_LOCK_NOT_HELD', typed: true }, state: { held: false }, claims: 0 }
  expect(await outcomes(child)).toMatchObject([{ result: 'granted' }, lost, lost])
  other.unlock()
})

describe('the error for a failed call', () => {
  const LOCKING: readonly (readonly [Code, string])[] = [
    ['ENOLCK', 'ERR_FSQ_NOT_LOCKABLE'],
    ['ENOTSUP', 'ERR_FSQ_NOT_LOCKABLE'],
    ['ENOSYS', 'ERR_FSQ_NOT_LOCKABLE'],
    ['EINVAL', 'ERR_FSQ_NOT_LOCKABLE'],
    ['EIO', 'ERR_FSQ_FILE_SYSTEM'],
  ]
  const OPENING: readonly (readonly [Code, string])[] = [
    ['EACCES', 'ERR_FSQ_PERMISSION'],
    ['EROFS', 'ERR_FSQ_READ_ONLY'],
    ['EMFILE', 'ERR_FSQ_TOO_MANY_FILES'],
    ['ELOOP', 'ERR_FSQ_FILE_SYSTEM'],
    ['ENOSPC', 'ERR_FSQ_DISK_FULL'],
  ]
  const ALL = [
    ...LOCKING.map((each) => ['lock.lock', 'flock', ...each] as const),
    ...OPENING.map((each) => ['lock.open', 'open', ...each] as const),
    ['lock.fstat', 'fstat', 'EIO', 'ERR_FSQ_FILE_SYSTEM'],
    ['lock.stat', 'stat', 'EACCES', 'ERR_FSQ_PERMISSION'],
  ] as const

  test.each(ALL)('%s, %s: %s', async (point, syscall, errno, code) => {
    const child = start(`${point}=errno:${os.constants.errno[errno]}`, ['path'])
    const [line] = await outcomes(child)
    const expected = { code, typed: true, cause: errno, syscall, errno: -os.constants.errno[errno] }
    expect(line).toMatchObject({ error: expected, claims: 0 })
    expect((line?.['error'] as Error).message).toMatch(new RegExp(`^Cannot lock '${file}': .*\\. [A-Z].*`))
  })

  test.each(['lock.look', 'lock.open', 'lock.fstat', 'lock.lock', 'lock.stat'])(
    '%s: an interrupted call is none',
    async (point) => {
      const [line] = await outcomes(start(`${point}#1=errno:${os.constants.errno.EINTR}`, ['path']))
      expect(line).toMatchObject({ result: 'granted' })
    },
  )

  test('a lock that is taken is none', async () => {
    const [line] = await outcomes(start(`lock.lock#1=errno:${os.constants.errno.EWOULDBLOCK}`, ['path']))
    expect(line).toMatchObject({ result: 'busy' })
  })
})

test.each(['EACCES', 'EROFS', 'EPERM', 'ETXTBSY'] as const)(
  'a file that may not be written (%s) is locked for reading, but not exclusively by fcntl',
  async (errno) => {
    fs.writeFileSync(file, '')
    const faults = `lock.open#1=errno:${os.constants.errno[errno]}`
    expect(await outcomes(start(faults, ['path']))).toMatchObject([{ result: 'granted' }])
    const shared = { kind: 'fcntl', shared: true }
    expect(await outcomes(start(faults, ['path', 'tryUpgrade', 'unlock'], shared))).toMatchObject([
      { result: 'granted' },
      { error: { cause: 'EBADF' }, state: { held: true, shared: true } },
      { state: { held: false }, claims: 0 },
    ])
    const refused = await outcomes(start(faults, ['path'], { kind: 'fcntl' }))
    expect(refused).toMatchObject([{ error: { cause: errno }, claims: 0 }])
  },
)

test('a downgrade that fails says whether the lock is still there', async () => {
  const steps = ['path', 'downgrade']
  const taken = start(`lock.lock#2=errno:${os.constants.errno.EAGAIN}`, steps)
  expect(await outcomes(taken)).toMatchObject([
    {},
    { error: { code: 'ERR_FSQ_LOCK_NOT_HELD' }, state: { held: false }, claims: 0 },
  ])
  const failed = start(`lock.lock#2=errno:${os.constants.errno.ENOLCK}`, steps, { kind: 'fcntl' })
  expect(await outcomes(failed)).toMatchObject([
    {},
    { error: { code: 'ERR_FSQ_NOT_LOCKABLE' }, state: { held: true, shared: false }, claims: 1 },
  ])
})

test.each([
  ['flock', {}, false],
  ['flock, the lock file removed each time', {}, true],
  ['fcntl', { kind: 'fcntl' }, false],
  ['fcntl, the lock file removed each time', { kind: 'fcntl' }, true],
] as const)('four processes that count up in one file: %s', async (_, options, remove) => {
  const counter = path.join(directory, 'counter')
  fs.writeFileSync(counter, '0')
  const count = 50
  const job = { file: counter, lock: file, options, count, remove }
  const children = Array.from({ length: 4 }, () => new Child('count-under-lock.mjs', job))
  for (const child of children) {
    expect({ ...(await child.ended), stderr: child.stderr }).toMatchObject({ code: 0, stderr: '' })
  }
  expect(fs.readFileSync(counter, 'utf8')).toBe(String(4 * count))
})

test('a lock that is garbage-collected is unlocked, with a warning', async () => {
  const program = path.resolve(import.meta.dirname, '../programs/abandon-lock.mjs')
  expect(fs.existsSync(program)).toBe(true)
  const child = new Child('abandon-lock.mjs', { path: file }, { node: ['--expose-gc'] })
  expect((await child.ended).code).toBe(0)
  expect(child.said('warning')).toEqual([
    { warning: 'FSQ_ABANDONED', message: expect.stringContaining(`'${file}'`), free: true },
  ])
})
