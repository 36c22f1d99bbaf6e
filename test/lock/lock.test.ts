import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import process from 'node:process'
import { pathToFileURL } from 'node:url'

import { describe, expect, test } from '@jest/globals'

import { FileSystemError, PermissionError } from '../../src/errors/classes.js'
import {
  LockNotHeldError,
  LockTimeoutError,
  NotLockableError,
  lock,
  lockSync,
  tryLock,
  tryLockSync,
  unlock,
  unlockSync,
} from '../../src/lock.js'
import { type ShownError, checkError, errorOf, inProgram } from '../support/queue.js'
import {
  KINDS,
  directory,
  file,
  descriptors,
  open,
  taken,
  isFree,
  describeLock,
  catching,
  useLockFile,
} from './lock-file.js'

useLockFile()

describe.each(KINDS)('%s on a path', (kind) => {
  test('makes the file, holds it until unlock, and closes its descriptor', async () => {
    const held = taken(await tryLock(file, { kind }))
    const { fd } = held
    expect({ ...describeLock(held), fd: fs.fstatSync(fd).ino }).toEqual({
      path: file,
      kind,
      start: 0,
      length: 0,
      shared: false,
      held: true,
      fd: fs.statSync(file).ino,
    })
    expect(await tryLock(file, { kind })).toBeUndefined()
    expect(tryLockSync(file, { kind })).toBeUndefined()
    held.unlock()
    expect(held.held).toBe(false)
    expect(() => fs.fstatSync(fd)).toThrow(/EBADF/)
    // The number may be another file's by now.
    checkError(
      catching(() => held.fd),
      { type: LockNotHeldError, says: /Cannot use the descriptor of .* not held any more/ },
    )
    held.unlock() // does nothing
    expect(isFree(kind)).toBe(true)
  })

  test('is the same by text, bytes and URL, and by a relative path', async () => {
    const held = lockSync(Buffer.from(file), { kind })
    expect(await tryLock(pathToFileURL(file), { kind })).toBeUndefined()
    expect(tryLockSync(path.relative(process.cwd(), file), { kind })).toBeUndefined()
    held.unlock()
  })

  test('a name that is no text', () => {
    const bytes = Buffer.concat([Buffer.from(`${directory}/`), Buffer.from([0xff, 0xfe])])
    const held = lockSync(bytes, { kind })
    expect(tryLockSync(bytes, { kind })).toBeUndefined()
    held.unlock()
    expect(fs.readdirSync(directory, { encoding: 'buffer' })).toEqual([Buffer.from([0xff, 0xfe])])
  })

  test('follows symbolic links', () => {
    const link = path.join(directory, 'link')
    fs.symlinkSync('file', link)
    const held = lockSync(link, { kind }) // makes what it leads to
    expect(tryLockSync(file, { kind })).toBeUndefined()
    held.unlock()
  })

  test('a file that is put in its place is another lock', () => {
    const first = lockSync(file, { kind })
    fs.writeFileSync(`${file}.new`, '')
    fs.renameSync(`${file}.new`, file)
    const second = lockSync(file, { kind, timeout: 0 })
    expect(fs.fstatSync(second.fd).ino).toBe(fs.statSync(file).ino)
    first.unlock()
    second.unlock()
  })

  test('create: false', async () => {
    checkError(await errorOf(async () => tryLock(file, { kind, create: false })), {
      type: FileSystemError,
      cause: 'ENOENT',
      syscall: 'open',
      path: file,
      says: /Make it, or call without create: false/,
    })
    expect(fs.readdirSync(directory)).toEqual([])
  })

  test('a directory that is missing', async () => {
    const missing = path.join(directory, 'missing', 'file')
    checkError(await errorOf(async () => lock(missing, { kind })), {
      type: FileSystemError,
      cause: 'ENOENT',
      syscall: 'open',
      path: missing,
      says: /Make the directory/,
    })
  })

  test('a directory in which this user may make nothing', async () => {
    fs.chmodSync(directory, 0o555)
    const error = await inProgram<ShownError>(
      `const { tryLock } = await import(process.env.FSQ_TEST_INDEX.replace('index.js', 'lock.js'))
      return errorOf(() => tryLock(given.file, { kind: given.kind }))`,
      { given: { file, kind }, nobody: true },
    )
    checkError(error, {
      type: PermissionError,
      cause: 'EACCES',
      syscall: 'open',
      path: file,
      says: /let this user write|give the user/,
    })
  })

  test('shared locks', () => {
    const one = lockSync(file, { kind, shared: true })
    const two = lockSync(file, { kind, shared: true })
    expect(tryLockSync(file, { kind })).toBeUndefined()
    one.unlock()
    expect(tryLockSync(file, { kind })).toBeUndefined()
    two.unlock()
    expect(isFree(kind)).toBe(true)
  })

  test('a descriptor that other code closed is left to the file that has its number now', () => {
    const held = lockSync(file, { kind, shared: true })
    fs.closeSync(held.fd)
    const other = fs.openSync(path.join(directory, 'other'), 'w+')
    descriptors.push(other)
    expect(other).toBe(held.fd)
    checkError(
      catching(() => held.tryUpgrade()),
      {
        type: FileSystemError,
        cause: 'EBADF',
        path: file,
        says: /Other code closed its descriptor/,
      },
    )
    expect(held.held).toBe(false)
    held.unlock()
    fs.fstatSync(other) // is open
  })
})

describe('targets that cannot be locked', () => {
  test('FIFOs, sockets and devices are refused, and not opened', async () => {
    const fifo = path.join(directory, 'fifo')
    execFileSync('mkfifo', [fifo])
    const socket = path.join(directory, 'socket')
    const server = net.createServer().listen(socket)
    await new Promise((resolve) => server.once('listening', resolve))
    for (const target of [fifo, socket, '/dev/null']) {
      for (const kind of KINDS) {
        checkError(await errorOf(async () => lock(target, { kind, timeout: 0 })), {
          type: NotLockableError,
          says: /neither a regular file nor a directory/,
          path: target,
        })
      }
    }
    await new Promise((resolve) => server.close(resolve))
  })

  test('a directory can by flock, and by fcntl not for writing', () => {
    const held = lockSync(directory)
    expect(tryLockSync(directory)).toBeUndefined()
    held.unlock()
    checkError(
      catching(() => tryLockSync(directory, { kind: 'fcntl' })),
      {
        type: NotLockableError,
        cause: 'EISDIR',
        path: directory,
        says: /kind 'flock'/,
      },
    )
  })

  test('descriptors that are not open so', () => {
    open()
    const [reading, writing] = [open('r'), open('a')]
    const refused = { type: NotLockableError, cause: 'EBADF', syscall: 'fcntl' } as const
    checkError(
      catching(() => tryLockSync(reading, { kind: 'fcntl' })),
      {
        ...refused,
        says: /open, but not for writing/,
      },
    )
    checkError(
      catching(() => tryLockSync(writing, { kind: 'fcntl', shared: true })),
      {
        ...refused,
        says: /open, but not for reading/,
      },
    )
    const held = taken(tryLockSync(reading, { kind: 'fcntl', shared: true }))
    checkError(
      catching(() => held.tryUpgrade()),
      { ...refused, says: /open, but not for writing/ },
    )
    expect(describeLock(held)).toMatchObject({ held: true, shared: true })
    held.unlock()
  })

  test.each(KINDS)('%s: a descriptor that is closed', async (kind) => {
    const descriptor = fs.openSync(file, 'w+')
    const held = taken(tryLockSync(descriptor, { kind }))
    fs.closeSync(descriptor)
    const expected = { type: FileSystemError, cause: 'EBADF', syscall: kind, says: /not open/ } as const
    for (const call of [
      async () => tryLock(descriptor, { kind }),
      async () => lock(descriptor, { kind }),
      async () => unlock(descriptor, { kind }),
      () => unlockSync(descriptor, { kind }),
      () => {
        held.unlock()
      },
    ]) {
      checkError(await errorOf(call), expected)
    }
  })
})

describe.each(KINDS)('%s on a descriptor', (kind) => {
  test('is held until unlock, which leaves the descriptor open', async () => {
    const [one, two] = [open(), open('r+')]
    const held = taken(await tryLock(one, { kind }))
    expect(describeLock(held)).toMatchObject({ path: undefined, kind, held: true })
    expect(held.fd).toBe(one)
    expect(tryLockSync(two, { kind })).toBeUndefined()
    held.unlock()
    fs.fstatSync(one)
    expect(tryLockSync(two, { kind })).toBeDefined()
    await unlock(two, { kind })
    expect(tryLockSync(one, { kind })).toBeDefined()
    unlockSync(one, { kind })
    unlockSync(one, { kind }) // does nothing
    expect(isFree(kind)).toBe(true)
  })

  test('locks before the call returns', () => {
    const descriptor = open()
    void tryLock(descriptor, { kind })
    expect(isFree(kind)).toBe(false)
    void unlock(descriptor, { kind })
    expect(isFree(kind)).toBe(true)
  })
})

describe.each(KINDS)('%s: upgrade and downgrade', (kind) => {
  test.each(['path', 'descriptor'])('of a lock on a %s', async (on) => {
    const target = (): string | number => (on === 'path' ? file : open('a+'))
    const held = lockSync(target(), { kind, shared: true })
    const other = taken(tryLockSync(target(), { kind, shared: true }))
    expect(held.tryUpgrade()).toBe(false)
    expect(describeLock(held)).toMatchObject({ shared: true, held: true })
    const expected = { type: LockTimeoutError, says: /others share it. It is still shared/ }
    checkError(await errorOf(async () => held.upgrade({ timeout: 5 })), expected)
    checkError(
      catching(() => {
        held.upgradeSync({ timeout: 5 })
      }),
      expected,
    )

    const upgrading = held.upgrade()
    other.unlock()
    await upgrading
    expect(describeLock(held)).toMatchObject({ shared: false, held: true })
    expect(tryLockSync(target(), { kind, shared: true })).toBeUndefined()
    await held.upgrade() // does nothing
    expect(held.tryUpgrade()).toBe(true)

    held.downgrade()
    expect(describeLock(held)).toMatchObject({ shared: true, held: true })
    taken(tryLockSync(target(), { kind, shared: true })).unlock()
    expect(tryLockSync(target(), { kind })).toBeUndefined()
    held.upgradeSync()
    held.unlock()
    for (const call of [
      () => held.tryUpgrade(),
      async () => held.upgrade(),
      () => {
        held.upgradeSync()
      },
      () => {
        held.downgrade()
      },
    ]) {
      checkError(await errorOf(call), { type: LockNotHeldError, says: /not held any more/ })
    }
  })

  test('an upgrade ends with its signal, and with unlock', async () => {
    const [held, other] = [lockSync(file, { kind, shared: true }), lockSync(file, { kind, shared: true })]
    const controller = new AbortController()
    const aborted = held.upgrade({ signal: controller.signal })
    controller.abort()
    expect(await errorOf(async () => aborted)).toBe(controller.signal.reason)
    expect(describeLock(held)).toMatchObject({ shared: true, held: true })
    const released = held.upgrade()
    held.unlock()
    checkError(await errorOf(async () => released), { type: LockNotHeldError, says: /not held/ })
    other.unlock()
  })
})

test('flock: an upgrade on a file that was replaced is no lock on the path any more', () => {
  const held = lockSync(file, { shared: true })
  fs.renameSync(file, `${file}.old`)
  fs.writeFileSync(file, '')
  checkError(
    catching(() => held.tryUpgrade()),
    { type: LockNotHeldError, says: /lost while it was changed/ },
  )
  expect(held.held).toBe(false)
  const old = lockSync(`${file}.old`, { timeout: 0 })
  old.unlock()
})

test('locks are disposed of', async () => {
  const one = lockSync(file)
  one[Symbol.dispose]()
  expect(isFree()).toBe(true)
  const two = lockSync(file)
  await two[Symbol.asyncDispose]()
  expect(isFree()).toBe(true)
})

test('the module does not bring the queue along', () => {
  const dist = path.resolve(import.meta.dirname, '../../dist')
  const files = ['lock.js']
  for (const file of files)
    for (const [, next = ''] of fs
      .readFileSync(path.join(dist, file), 'utf8')
      .matchAll(/ from "\.\/([^"]+)"/g))
      files.push(next)
  const sources = files.flatMap((file) => {
    const map = JSON.parse(fs.readFileSync(path.join(dist, `${file}.map`), 'utf8')) as { sources: string[] }
    return map.sources
  })
  const own = sources.filter((source) => source.endsWith('.ts'))
  expect(own.map((source) => path.basename(source)).sort()).toEqual([
    'classes.ts',
    'errno.ts',
    'failure.ts',
    'file-lock.ts',
    'inspected.ts',
    'lock.ts',
    'native.ts',
    'nearest.ts',
    'options.ts',
    'packing.ts',
    'request.ts',
    'system-error.ts',
    'wait.ts',
  ])
})
