/** Queues on network file systems. There is none here, so the fault build has the kernel answer with another type. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { describe, expect } from '@jest/globals'

import {
  FileSystemError,
  MountError,
  NetworkFileSystemError,
  SettingError,
} from '../../src/errors/classes.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { onLinux } from '../support/needs.js'
import {
  type ProgramOptions,
  type ShownError,
  checkError,
  contents,
  drain,
  inProgram,
  useTestBed,
} from '../support/queue.js'

const bed = useTestBed()

function on(type: number, options: ProgramOptions = {}): ProgramOptions {
  return {
    given: { root: bed.root },
    flags: ['--require', FAULT_BUILD],
    ...options,
    env: { FSQ_FAULTS: `open.fstatfs=answer:${type}`, ...options.env },
  }
}

const USES = `({
  enqueue: (queue) => queue.enqueue('x'),
  enqueueSync: (queue) => queue.enqueueSync('x'),
  enqueueMany: (queue) => queue.enqueueMany([{ data: 'x' }]),
  scan: (queue) => queue.scan().next(),
  items: (queue) => queue.items().next(),
  counts: (queue) => queue.counts(),
  isEmpty: (queue) => queue.isEmpty(),
  install: () => Queue.install('other', { root: given.root }),
  'install by force': () => Queue.install('q', { root: given.root, force: true }),
})`

onLinux.each([
  ['nfs', 0x6969],
  ['cifs', 0xff534d42],
  ['smb2', 0xfe534d42],
  ['ceph', 0x00c36400],
  ['afs', 0x5346414f],
  ['lustre', 0x0bd00bd0],
  ['9p', 0x01021997],
])('on %s every use is refused, before anything is touched', async (name, type) => {
  const queue = await bed.install()
  const id = await queue.enqueue('x')
  const seen = await inProgram<{ errors: Record<string, ShownError>; open: string[] }>(
    `
    const errors = {}
    const queue = new Queue('q', { root: given.root })
    for (const [name, use] of Object.entries(${USES})) errors[name] = await errorOf(() => use(queue))
    const open = fs.readdirSync('/proc/self/fd').flatMap((fd) => {
      try {
        return fs.readlinkSync('/proc/self/fd/' + fd)
      } catch {
        return []
      }
    })
    return { errors, open: open.filter((file) => file.startsWith(given.root)) }`,
    on(type),
  )
  expect(Object.keys(seen.errors)).toHaveLength(9)
  for (const [use, error] of Object.entries(seen.errors)) {
    checkError(error, {
      type: NetworkFileSystemError,
      says: new RegExp(
        `is on a network file system \\(${name}\\).*local file system.*fsq doctor --peer.*FSQ_ALLOW_NETWORK=1.* claims by rename`,
      ),
    })
    expect(error.message.startsWith(`${use.startsWith('install') ? bed.root : queue.path} is on`)).toBe(true)
  }
  expect(seen.open).toEqual([])
  expect(fs.readdirSync(bed.root)).toEqual(['q'])
  expect(contents(queue)).toEqual({ queue: [id], tmp: [], done: [], fail: [] })
})

const LIFE = `
  const options = { root: given.root, ...given.options }
  const queue = await Queue.install('q', options)
  const id = await queue.enqueue('x')
  const drained = []
  for await (const item of queue.scan()) {
    await item.done()
    drained.push(item.id)
  }
  await queue.uninstall()
  return drained.length === 1 && drained[0] === id`

onLinux(
  'a network file system is used where it is allowed: by option, by environment, by setConst',
  async () => {
    const nfs = on(0x6969)
    expect(
      await inProgram(LIFE, { ...nfs, given: { root: bed.root, options: { allowNetwork: true } } }),
    ).toBe(true)
    expect(await inProgram(LIFE, on(0x6969, { env: { FSQ_ALLOW_NETWORK: '1' } }))).toBe(true)
    expect(await inProgram(`fsq.setConst('FSQ_ALLOW_NETWORK', true)\n${LIFE}`, nfs)).toBe(true)
    const error = await inProgram<ShownError>(`return errorOf(async () => {${LIFE}})`, nfs)
    expect(error.code).toBe(NetworkFileSystemError.code)
  },
)

onLinux.each([
  ['FUSE, which may be anything', 0x65735546],
  ['an unknown file system', 0x12345678],
  ['an overlay', 0x794c7630],
])('%s is not refused', async (_what, type) => {
  expect(await inProgram(LIFE, on(type))).toBe(true)
})

onLinux('a queue can be taken down and removed wherever it is', async () => {
  const queue = await bed.install()
  await inProgram(
    `
    const queue = new Queue('q', { root: given.root })
    await queue.down()
    await queue.up()
    await queue.uninstall()
    return true`,
    on(0x6969),
  )
  expect(fs.existsSync(queue.path)).toBe(false)
})

onLinux.each([
  ['cifs', 0xff534d42],
  ['smb2', 0xfe534d42],
])('on %s the refusal says that locks are not enough', async (_name, type) => {
  const error = await inProgram<ShownError>(
    "return errorOf(() => Queue.install('q', { root: given.root }))",
    on(type),
  )
  expect(error.message).toMatch(
    /FSQ_ALLOW_NETWORK=1.*One machine alone may work a queue whose claims are locks/,
  )
})

// After a machine has got a lock, its name cache may still show the state before another machine finished the item.
describe('each look that is to tell whether an item is still there asks the server first', () => {
  const finish = `
    const queue = new Queue('q', { root: given.root, allowNetwork: true })
    const { value: item } = await queue.scan().next()
    const error = await errorOf(() => item.done())
    await queue.close()
    return error`

  function finishOn(type: number, faults: string): Promise<ShownError> {
    return inProgram(finish, on(type, { env: { FSQ_FAULTS: `open.fstatfs=answer:${type};${faults}` } }))
  }

  onLinux.each([
    ['nfs', 0x6969],
    ['cifs', 0xff534d42],
    ['ceph', 0x00c36400],
  ])('%s', async (_name, type) => {
    await (await bed.install()).enqueue('x')
    await expect(finishOn(type, 'look.refresh#1=errno:5')).rejects.toThrow(/EIO/)
    const error = await finishOn(type, 'look.refresh#2=errno:5')
    expect(error.code).toBe('ERR_FSQ_FINISH')
    expect(error.cause?.code).toBe('EIO')
  })

  onLinux('where it is not known to be one, the call is made, and need not be there', async () => {
    await (await bed.install()).enqueue('x')
    await expect(finishOn(0x65735546, 'look.refresh#2=kill')).rejects.toThrow(/SIGKILL/)
    expect((await finishOn(0x65735546, 'look.refresh=errno:38')).code).toBe('none')
  })

  onLinux('a local one is not asked', async () => {
    await (await bed.install()).enqueue('x')
    expect((await finishOn(0xef53, 'look.refresh=kill')).code).toBe('none')
  })
})

// There an exclusive flock needs a descriptor that is open for writing, which a claim does not have.
describe('flock on NFS', () => {
  const INSTALL = `await (await Queue.install('q', { root: given.root, ...given.options })).close()
    return fs.existsSync(path.join(given.root, 'q', 'lock-fcntl'))`
  const installOn = (type: number, options: object): Promise<boolean> =>
    inProgram(INSTALL, {
      given: { root: bed.root, options: { itemMode: '0660', ...options } },
      flags: ['--require', FAULT_BUILD],
      env: { FSQ_FAULTS: `open.fstatfs=answer:${type}`, FSQ_ALLOW_NETWORK: '1' },
    })

  onLinux.each([
    // Without either option its workers lock no items.
    [0x6969, {}, false],
    [0x6969, { claims: 'lock' }, true],
    [0x6969, { lockKind: 'fcntl' }, true],
    [0x6969, { claims: 'lock', force: true }, true],
    [0x00c36400, {}, false],
    [0x00c36400, { claims: 'lock' }, false],
    [0x65735546, {}, false],
    [0xef53, {}, false],
  ])('file system %i, install with %p: fcntl is taken: %p', async (type, options, isFcntl) => {
    expect(await installOn(type, options)).toBe(isFcntl)
  })

  onLinux('is refused at installation, and nothing is made', async () => {
    const error = await inProgram<ShownError>(
      "return errorOf(() => Queue.install('q', { root: given.root, lockKind: 'flock' }))",
      on(0x6969, { env: { FSQ_FAULTS: 'open.fstatfs=answer:0x6969', FSQ_ALLOW_NETWORK: '1' } }),
    )
    checkError(error, {
      type: SettingError,
      says: /^lockKind is 'flock', expected 'fcntl' on nfs\. There flock .* open for writing.* Leave it out/,
    })
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  onLinux('of a queue that is there: the error of a scan says how its items come to be locked', async () => {
    const queue = await bed.install()
    const id = await queue.enqueue('x')
    const error = await inProgram<ShownError>(
      `
      const queue = new Queue('q', { root: given.root })
      const error = await errorOf(() => queue.scan().next())
      await queue.close()
      return error`,
      {
        given: { root: bed.root },
        flags: ['--require', FAULT_BUILD],
        env: { FSQ_FAULTS: `claim.lock=errno:${os.constants.errno.EBADF}` },
      },
    )
    checkError(error, { type: FileSystemError, cause: 'EBADF', syscall: 'flock', says: /Cannot scan.*NFS/ })
    const [, marker = ''] = /Make an empty file '(.*)'/.exec(error.message) ?? []
    fs.writeFileSync(marker, '')
    expect(await drain(bed.open())).toEqual([id])
    expect(marker).toBe(path.join(queue.path, 'lock-fcntl'))
  })
})

// The kernel says nfs, and the table of mounts says which options.
describe('a mount that is for one machine only', () => {
  const ODD_MOUNT = path.join(import.meta.dirname, '../support/odd-mount.cjs')
  const onSoftMount = (options: object = {}): ProgramOptions =>
    on(0x6969, {
      given: { root: bed.root, options: { root: bed.root, allowNetwork: true, ...options } },
      flags: ['--require', FAULT_BUILD, '--require', ODD_MOUNT],
      env: { FSQ_TEST_MOUNT: 'a soft mount' },
    })
  const SAYS =
    /^Several machines cannot work a queue in .*: on a soft mount, .* mount it with hard\. If one machine/

  onLinux('refuses a queue whose claims are renames at installation, and nothing is made', async () => {
    const error = await inProgram<ShownError>(
      "return errorOf(() => Queue.install('q', given.options))",
      onSoftMount(),
    )
    checkError(error, { type: MountError, says: SAYS })
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  onLinux('refuses each use of a queue whose claims are renames, and closes it', async () => {
    const queue = await bed.install({ claims: 'rename' })
    const seen = await inProgram<{ errors: ShownError[]; open: string[] }>(
      `
      const queue = new Queue('q', given.options)
      const errors = []
      for (const use of [() => queue.enqueue('x'), () => queue.enqueueSync('x'), () => queue.scan().next()])
        errors.push(await errorOf(use))
      const open = fs.readdirSync('/proc/self/fd').flatMap((fd) => {
        try {
          return fs.readlinkSync('/proc/self/fd/' + fd)
        } catch {
          return []
        }
      })
      return { errors, open: open.filter((file) => file.startsWith(given.root)) }`,
      onSoftMount(),
    )
    expect(seen.errors).toHaveLength(3)
    for (const error of seen.errors) checkError(error, { type: MountError, says: SAYS })
    expect(seen.open).toEqual([])
    expect(contents(queue)).toEqual({ queue: [], tmp: [], done: [], fail: [] })
  })

  onLinux('refuses the conversion of a queue, and changes nothing', async () => {
    const queue = await bed.install()
    const body = `
      const { unmended } = await new Queue('q', given.options).repair({ claims: 'rename' })
      return unmended.map(({ reason }) => reason)`
    expect(await inProgram<string[]>(body, onSoftMount())).toEqual([
      expect.stringMatching(/^Its mount is not for several machines: on a soft mount/),
    ])
    expect(fs.existsSync(path.join(queue.path, 'claims-rename'))).toBe(false)
    expect(fs.existsSync(path.join(queue.path, 'down'))).toBe(false)
  })

  onLinux('takes a queue whose claims are locks, and warns once of what the options mean', async () => {
    const body = `
      const warnings = []
      process.on('warning', ({ code, message }) => warnings.push([code, message]))
      const queue = await Queue.install('q', { ...given.options, claims: 'lock' })
      await queue.enqueue('x')
      new Queue('q', given.options).enqueueSync('y')
      await new Promise((resolve) => setImmediate(resolve))
      return warnings`
    expect(await inProgram<string[][]>(body, onSoftMount({ itemMode: '0660' }))).toEqual([
      [
        'FSQ_NETWORK_LOCKS',
        expect.stringMatching(/Let one machine alone work it.*: on a soft mount.* with hard$/),
      ],
    ])
  })

  onLinux('is no matter on a local file system', async () => {
    const queue = await bed.install({ claims: 'rename' })
    const env = { FSQ_TEST_MOUNT: 'a soft mount', FSQ_FAULTS: 'open.fstatfs=answer:0xef53' }
    const body = "return new Queue('q', given.options).enqueue('x')"
    const id = await inProgram<string>(body, { ...onSoftMount(), env })
    expect(contents(queue).queue).toEqual([id])
  })
})
