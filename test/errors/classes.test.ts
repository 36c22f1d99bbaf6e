import fs from 'node:fs'
import os from 'node:os'
import { inspect } from 'node:util'

import { describe, expect, test } from '@jest/globals'

import * as errors from '../../src/errors/classes.js'
import { fileSystemError, systemError } from '../../src/errors/system-error.js'

const {
  EnqueueAbortedError,
  EnqueueManyError,
  FinishError,
  FsqError,
  InDoubtError,
  MalformedNameError,
  MountError,
  NameTooLongError,
  NetworkFileSystemError,
  NotDurableError,
  RetryLater,
  SettingError,
  problemOf,
} = errors

type ErrorClass = new (message: string, options?: errors.FsqErrorOptions) => errors.FsqError
type ErrorCode = keyof typeof os.constants.errno

const errno = (code: ErrorCode): number => -os.constants.errno[code]

const CODES: Readonly<Record<string, string>> = {
  FsqError: 'ERR_FSQ',
  QueueMissingError: 'ERR_FSQ_QUEUE_MISSING',
  QueueExistsError: 'ERR_FSQ_QUEUE_EXISTS',
  QueueDownError: 'ERR_FSQ_QUEUE_DOWN',
  NotAQueueError: 'ERR_FSQ_NOT_A_QUEUE',
  QueueNotEmptyError: 'ERR_FSQ_QUEUE_NOT_EMPTY',
  QueueNameError: 'ERR_FSQ_QUEUE_NAME',
  QueueClosedError: 'ERR_FSQ_QUEUE_CLOSED',
  EncodingError: 'ERR_FSQ_ENCODING',
  MalformedNameError: 'ERR_FSQ_MALFORMED_NAME',
  NameTooLongError: 'ERR_FSQ_NAME_TOO_LONG',
  SettingError: 'ERR_FSQ_SETTING',
  PayloadError: 'ERR_FSQ_PAYLOAD',
  NotDurableError: 'ERR_FSQ_NOT_DURABLE',
  EnqueueAbortedError: 'ERR_FSQ_ENQUEUE_ABORTED',
  EnqueueManyError: 'ERR_FSQ_ENQUEUE_MANY',
  FinishError: 'ERR_FSQ_FINISH',
  ItemFinishedError: 'ERR_FSQ_ITEM_FINISHED',
  ItemGoneError: 'ERR_FSQ_ITEM_GONE',
  ClaimLostError: 'ERR_FSQ_CLAIM_LOST',
  PermanentFailure: 'ERR_FSQ_PERMANENT_FAILURE',
  ReceivingError: 'ERR_FSQ_RECEIVING',
  RetryLater: 'ERR_FSQ_RETRY_LATER',
  ClosingError: 'ERR_FSQ_CLOSING',
  InDoubtError: 'ERR_FSQ_IN_DOUBT',
  WorkerProcessError: 'ERR_FSQ_WORKER_PROCESS',
  ContentError: 'ERR_FSQ_CONTENT',
  SeparateMountsError: 'ERR_FSQ_SEPARATE_MOUNTS',
  NetworkFileSystemError: 'ERR_FSQ_NETWORK_FS',
  MissingPeerError: 'ERR_FSQ_MISSING_PEER',
  MountError: 'ERR_FSQ_MOUNT',
  NatsError: 'ERR_FSQ_NATS',
  TooLargeError: 'ERR_FSQ_TOO_LARGE',
  PeerError: 'ERR_FSQ_PEER',
  PushError: 'ERR_FSQ_PUSH',
  AddonMissingError: 'ERR_FSQ_ADDON_MISSING',
  LockTimeoutError: 'ERR_FSQ_LOCK_TIMEOUT',
  LockNotHeldError: 'ERR_FSQ_LOCK_NOT_HELD',
  NotLockableError: 'ERR_FSQ_NOT_LOCKABLE',
  FileSystemError: 'ERR_FSQ_FILE_SYSTEM',
  PermissionError: 'ERR_FSQ_PERMISSION',
  ReadOnlyError: 'ERR_FSQ_READ_ONLY',
  DiskFullError: 'ERR_FSQ_DISK_FULL',
  TooManyFilesError: 'ERR_FSQ_TOO_MANY_FILES',
  TriggerError: 'ERR_FSQ_TRIGGER',
}

/** The classes whose constructors take more than a message. */
const MAKERS: Readonly<Record<string, () => errors.FsqError>> = {
  MalformedNameError: () => new MalformedNameError('it is bad', '_x'),
  NameTooLongError: () => new NameTooLongError(300, 255),
  SettingError: () => new SettingError('FSQ_TTL', 'x', 'a number'),
  NotDurableError: () => new NotDurableError('_x'),
  NetworkFileSystemError: () => new NetworkFileSystemError('/q', 'nfs'),
  MountError: () => new MountError('/q', ['with nolock, …: mount it without nolock']),
  EnqueueAbortedError: () => new EnqueueAbortedError(new Error('no time')),
  EnqueueManyError: () => new EnqueueManyError([{ id: '_x' }, { error: new FsqError('no') }]),
  FinishError: () => new FinishError('_x', 'done'),
  RetryLater: () => new RetryLater({ after: 1000 }),
  MissingPeerError: () =>
    new errors.MissingPeerError('@nats-io/jetstream', 'fsq/nats', ['@nats-io/jetstream']),
  NatsError: () => new errors.NatsError('no server', 'away'),
  PushError: () => new errors.PushError('it is away', 'away'),
  TooLargeError: () => new errors.TooLargeError('the stream', 10, 5),
  InDoubtError: () => new InDoubtError('_x', 'nats-ORDERS', new Date(0)),
}

/** The advice of these classes. All others have the advice that they are given. */
const ADVICE: Readonly<Record<string, RegExp | undefined>> = {
  MalformedNameError: undefined,
  NameTooLongError: /^Put long values into the payload/,
  SettingError: undefined,
  NotDurableError: /^Do not repeat it/,
  NetworkFileSystemError: /^Put FSQ_ROOT on a local file system/,
  MissingPeerError: /^Install it: npm install/,
  NatsError: undefined,
  TooLargeError: undefined,
  PushError: undefined,
  MountError: /^If one machine alone works the queue/,
  EnqueueAbortedError: /^Enqueue it again/,
  EnqueueManyError: /^'outcomes' has the result/,
  FinishError: /^It stays claimed/,
  InDoubtError: /^Remove it if it has arrived there/,
  RetryLater: undefined,
}

function make(name: string, options?: errors.FsqErrorOptions): errors.FsqError {
  const maker = MAKERS[name]
  if (maker !== undefined) return maker()
  const ErrorOfName = errors[name as keyof typeof errors] as unknown as ErrorClass
  return new ErrorOfName('what happened', options)
}

function fieldsOf(error: unknown): Record<string, unknown> {
  return Object.fromEntries(Object.entries(error as Error))
}

test('every class is listed here', () => {
  const classes = Object.entries(errors).filter(
    ([, value]) => 'prototype' in value && value.prototype instanceof Error,
  )
  expect(classes.map(([name]) => name).sort()).toEqual(Object.keys(CODES).sort())
})

describe.each(Object.entries(CODES))('%s', (name, code) => {
  test('has its name and code, and is what it is', () => {
    const error = make(name)
    expect(error).toBeInstanceOf(errors[name as keyof typeof errors])
    expect(error).toBeInstanceOf(FsqError)
    expect(error).toBeInstanceOf(Error)
    expect(error.name).toBe(name)
    expect(error.code).toBe(code)
    expect(String(error)).toBe(`${name}: ${error.message}`)
    expect(error.stack).toMatch(new RegExp(`^${name}: `))
    expect(Object.keys(error)).not.toContain('name')
    for (const field of ['errno', 'syscall', 'path', 'dest']) expect(error).not.toHaveProperty(field)
  })

  test('has its advice apart from the problem', () => {
    const error = make(name, { advice: 'Do so' })
    const wanted = name in MAKERS ? ADVICE[name] : /^Do so$/
    if (wanted === undefined) return expect(error.advice).toBeUndefined()
    expect(error.advice).toMatch(wanted)
    expect(error.message).toBe(`${problemOf(error)}. ${error.advice ?? ''}`)
    expect(problemOf(error)).not.toContain(error.advice)
    expect(inspect(error).split(error.advice ?? '')).toHaveLength(2)
  })

  test('is readable when it is inspected', () => {
    const error = make(name)
    const shown = inspect(error)
    expect(shown.startsWith(`${name}: ${error.message}\n    at `)).toBe(true)
    expect(shown.split(error.message)).toHaveLength(2)
    expect(shown).toContain(`code: '${code}'`)
  })
})

test('without advice there is none', () => {
  const error = new FsqError('what happened')
  expect(error).toMatchObject({ message: 'what happened', advice: undefined })
  expect(problemOf(error)).toBe('what happened')
})

test('a problem that ends its line has the advice on the next one', () => {
  const error = new errors.AddonMissingError('it is missing\n', { advice: 'Build it' })
  expect(error.message).toBe('it is missing\nBuild it')
})

test('the subclasses are those of their kind', () => {
  expect(make('MalformedNameError')).toBeInstanceOf(errors.EncodingError)
  for (const name of ['PermissionError', 'ReadOnlyError', 'DiskFullError', 'TooManyFilesError']) {
    expect(make(name)).toBeInstanceOf(errors.FileSystemError)
  }
  expect(make('SeparateMountsError')).not.toBeInstanceOf(errors.FileSystemError)
})

describe('systemError', () => {
  test.each([
    [
      'open',
      () => fs.openSync('/nowhere/x', 'r'),
      { errno: errno('ENOENT'), syscall: 'open', path: '/nowhere/x' },
    ],
    [
      'link',
      () => fs.linkSync('/nowhere/x', '/nowhere/y'),
      { errno: errno('ENOENT'), syscall: 'link', path: '/nowhere/x', dest: '/nowhere/y' },
    ],
    ['fsync', () => fs.fsyncSync(1_000_000), { errno: errno('EBADF'), syscall: 'fsync' }],
  ])('is what node:fs throws: %s', (_call, fail, failure) => {
    let thrown: unknown
    try {
      fail()
    } catch (error) {
      thrown = error
    }
    const ours = systemError(failure)
    expect(ours).toBeInstanceOf(Error)
    expect(fieldsOf(ours)).toEqual(fieldsOf(thrown))
    expect(ours.message).toBe((thrown as Error).message)
    expect(Object.keys(ours)).toEqual(Object.keys(thrown as Error))
  })

  test.each([
    ['EDQUOT', 'EDQUOT: disk quota exceeded, write'],
    ['ESTALE', 'ESTALE: stale file handle, write'],
  ] as const)('knows %s, which Node does not', (code, message) => {
    expect(systemError({ errno: errno(code), syscall: 'write' })).toMatchObject({ code, message })
  })

  test('takes an unknown error number', () => {
    expect(systemError({ errno: -9999, syscall: 'write' })).toMatchObject({
      errno: -9999,
      code: 'Unknown system error -9999',
    })
  })
})

describe('the cause', () => {
  test('of a system error is repeated on the error', () => {
    const cause = systemError({ errno: errno('ENOENT'), syscall: 'rename', path: '/a', dest: '/b' })
    const error = new errors.QueueMissingError('no queue', { cause })
    expect(error.cause).toBe(cause)
    expect(fieldsOf(error)).toEqual({
      code: 'ERR_FSQ_QUEUE_MISSING',
      errno: cause.errno,
      syscall: 'rename',
      path: '/a',
      dest: '/b',
    })
    expect(inspect(error)).toContain("[cause]: Error: ENOENT: no such file or directory, rename '/a' -> '/b'")
  })

  test('that is no system error is only the cause', () => {
    const cause = Object.assign(new TypeError('bad'), { code: 'ERR_INVALID_ARG_TYPE' })
    expect(fieldsOf(new FsqError('x', { cause }))).toEqual({ code: 'ERR_FSQ' })
    expect(new FsqError('x', { cause: 'text' }).cause).toBe('text')
  })
})

describe('fileSystemError', () => {
  test.each([
    ['EACCES', 'PermissionError', /permission/],
    ['EPERM', 'PermissionError', /owner or root/],
    ['EROFS', 'ReadOnlyError', /for writing/],
    ['ENOSPC', 'DiskFullError', /Make room/],
    ['EDQUOT', 'DiskFullError', /quota/],
    ['EMFILE', 'TooManyFilesError', /ulimit -n/],
    ['ENFILE', 'TooManyFilesError', /file-max/],
    ['EXDEV', 'SeparateMountsError', /separate mounts \(Docker volumes\?\)/],
    ['ENAMETOOLONG', 'FileSystemError', /shorter/],
    ['ENOENT', 'FileSystemError', /create it again with the owner and mode of the others/],
    ['ENOTDIR', 'FileSystemError', /not a directory/],
    ['ELOOP', 'FileSystemError', /Symbolic links/],
    ['EIO', 'FileSystemError', /kernel/],
    ['ESTALE', 'FileSystemError', /open the queue again/],
    ['EOPNOTSUPP', 'FileSystemError', /local one/],
    ['ECHILD', 'FileSystemError', /man page/],
  ] as const)('%s is a %s', (code, name, advice) => {
    const error = fileSystemError(
      { errno: errno(code), syscall: 'openat', path: '/q/queue' },
      "open the queue 'q'",
    )
    expect(error.name).toBe(name)
    expect(error.code).toBe(CODES[name])
    expect(error).toMatchObject({ errno: errno(code), syscall: 'openat', path: '/q/queue' })
    expect(error.cause).toMatchObject({ errno: errno(code), syscall: 'openat', path: '/q/queue' })
    expect(error.message).toMatch(/^Cannot open the queue 'q': /)
    expect(error.message).toContain("openat '/q/queue'")
    expect(error.advice).toMatch(advice)
    expect(error.message).toBe(`${problemOf(error)}. ${error.advice ?? ''}`)
  })

  test('says all that is needed', () => {
    const failure = {
      errno: errno('EACCES'),
      syscall: 'renameat2',
      path: '/q/queue/_a',
      dest: '/q/done/_a\n',
    }
    expect(fileSystemError(failure, 'finish the item').message).toBe(
      "Cannot finish the item: permission denied (EACCES, renameat2 '/q/queue/_a' -> '/q/done/_a\\n'). " +
        'Run as the owner of this path or as a member of its group; or give the user of this process read, write and search permission for it and the directories above it',
    )
  })

  test('points at the caller', () => {
    expect(fileSystemError({ errno: -2, syscall: 'open' }, 'x').stack?.split('\n')[1]).toContain(
      'classes.test.ts',
    )
  })
})

describe('the classes with fields', () => {
  test('NameTooLongError', () => {
    expect(new NameTooLongError(300, 255)).toMatchObject({ bytes: 300, limit: 255 })
    expect(new NameTooLongError(300, 255).message).toMatch(/300 bytes, and 255 are allowed.*payload/)
  })

  test.each([undefined, null, 1000, {}, { after: -1 }, { after: '1' }])('RetryLater of %p', (options) => {
    expect(() => new RetryLater(options as never)).toThrow(SettingError)
  })

  test('SettingError', () => {
    expect(new SettingError('FSQ_TTL', '1h', 'a number', 'Correct it')).toMatchObject({
      setting: 'FSQ_TTL',
      value: '1h',
      expected: 'a number',
      message: "FSQ_TTL is '1h', expected a number. Correct it",
      advice: 'Correct it',
    })
    expect(new SettingError('x', 'y'.repeat(1000), 'less').message.length).toBeLessThan(200)
  })

  test('MountError', () => {
    const error = new MountError('/mnt/q', ['one: mount it', 'two: mount it'])
    expect(error.reasons).toEqual(['one: mount it', 'two: mount it'])
    expect(error.message).toMatch(
      /^Several machines .* in \/mnt\/q, .*: one: mount it; two: mount it\. If one machine alone .*'lock'$/,
    )
  })

  test('NetworkFileSystemError', () => {
    expect(new NetworkFileSystemError('/mnt/q', 'nfs')).toMatchObject({
      fileSystem: 'nfs',
      message: expect.stringMatching(/^\/mnt\/q is on a network file system \(nfs\)\. .*FSQ_ALLOW_NETWORK=1/),
    })
  })

  test('NotDurableError', () => {
    const cause = systemError({ errno: errno('EIO'), syscall: 'fsync' })
    expect(new NotDurableError('_a', { cause })).toMatchObject({
      id: '_a',
      errno: errno('EIO'),
      syscall: 'fsync',
    })
  })

  test('FinishError', () => {
    const cause = systemError({
      errno: errno('ENOSPC'),
      syscall: 'renameat2',
      path: '/q/_a\x1b[31m',
      dest: '/q/_b',
    })
    const error = new FinishError('_a', 'retry', { cause })
    expect(error).toMatchObject({ id: '_a', action: 'retry', errno: errno('ENOSPC'), cause })
    expect(error.advice).toMatch(/^Make room.* It stays claimed, .* until the queue is closed$/)
    // As Node's, but for what would be a command to a terminal.
    expect(error.message).toContain("ENOSPC: no space left on device, renameat2 '/q/_a\\x1B[31m' -> '/q/_b'")
  })

  test('EnqueueManyError', () => {
    const first = new errors.PayloadError('the payload is bad')
    const outcomes = [{ id: '_a' }, { error: first }, { error: new FsqError('other') }]
    const error = new EnqueueManyError(outcomes)
    expect(error.outcomes).toEqual(outcomes)
    expect(error.cause).toBe(first)
    expect(error.message).toMatch(/^2 of 3 items failed to be enqueued.*the payload is bad/)
  })
})
