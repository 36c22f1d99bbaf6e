/**
 * Two mounts of one directory, each with a cache of names in the kernel, as two clients of a file server have: bindfs, a FUSE file system. It needs
 * the package bindfs, /dev/fuse and a right to mount.
 */
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { afterAll, expect } from '@jest/globals'

import type { PeerProbe } from '../../src/probe/peer/probe-peer.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { given } from '../support/needs.js'
import { OWN_PROCESSES, type ProgramOptions, inProgram, useTestBed } from '../support/queue.js'

const bed = useTestBed({ quick: true })

const LOCKS = fileURLToPath(new URL('../support/description-locks.cc', import.meta.url))
const RACE = new URL('../programs/race-on-mounts.mjs', import.meta.url)
/** Longer than a test takes. */
const CACHE_S = 30
const OPTIONS = ['entry', 'negative', 'attr'].map((what) => `${what}_timeout=${CACHE_S}`).join(',')

const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'fsq-test-'))
/** Preloaded into bindfs: it passes locks on as a file server does. */
const library = path.join(scratch, 'locks.so')

function canMount(): boolean {
  const [from, to] = [path.join(scratch, 'from'), path.join(scratch, 'to')]
  fs.mkdirSync(from)
  fs.mkdirSync(to)
  const [command, ...args] = [...OWN_PROCESSES, 'bindfs', from, to] as const
  if (spawnSync(command, args).status !== 0) return false
  const { status, stderr } = spawnSync('g++', ['-shared', '-fPIC', '-o', library, LOCKS])
  if (status !== 0) throw new Error(String(stderr))
  return true
}

const isPossible = canMount()
afterAll(() => {
  fs.rmSync(scratch, { recursive: true })
})

const suite = `two mounts${isPossible ? '' : ' (skipped: bindfs does not run here: it needs its package, /dev/fuse and a right to mount)'}`

interface MountOptions extends ProgramOptions {
  /**
   * - `shared`: they exclude between all processes of both mounts. The default.
   * - `mixed`: fcntl locks exclude between the mounts, but not between the processes of one mount.
   * - `none`: each mount has locks of its own.
   */
  readonly locks?: 'shared' | 'mixed' | 'none'
  /** The type that the mounts have in the table of mounts, after `fuse.`. */
  readonly type?: string
}

/** Runs code with the `mounts` a and b of the directory `back`. */
async function onMounts<Result>(body: string, options: MountOptions = {}): Promise<Result> {
  const { locks = 'shared', type, ...rest } = options
  const named = type === undefined ? OPTIONS : `${OPTIONS},subtype=${type}`
  const [back, ...mounts] = ['back', 'a', 'b'].map((name) => bed.path(name))
  for (const directory of [back, ...mounts]) fs.mkdirSync(directory ?? '')
  const forward = locks === 'none' ? '' : '--multithreaded --enable-lock-forwarding'
  const preload = locks === 'shared' ? `LD_PRELOAD=${library} ` : ''
  const shell = mounts.map((mount) => `${preload}bindfs ${forward} -o ${named} ${back} ${mount}`)
  return inProgram<Result>(`const { back, mounts: [a, b] } = given\n${body}`, {
    ...rest,
    given: { back, mounts, logs: bed.root, race: RACE.href },
    namespace: 'processes',
    shell: shell.join(' && '),
  })
}

given(isPossible).describe(suite, () => {
  given(isPossible).test('a mount does not see what the other one has just changed', async () => {
    const { stale, listed, there } = await onMounts<{ stale: number; listed: string[]; there: string[] }>(`
    const at = (mount, name) => mount + '/' + name
    const names = Array.from({ length: 8 }, (_, number) => 'name' + number)
    const isThere = (name) => fs.existsSync(at(b, name))
    for (const name of names) fs.writeFileSync(at(a, name), '')
    if (!names.every(isThere)) throw new Error('they are not there')
    for (const name of names) fs.renameSync(at(a, name), at(a, 'moved-' + name))
    const stale = names.filter(isThere).length
    return { stale, listed: fs.readdirSync(b).sort(), there: fs.readdirSync(back).sort() }`)
    // The kernel may drop a name from its cache at any time.
    expect(stale).toBeGreaterThan(0)
    expect(listed).toEqual(there)
  })

  // A worker stands still between its look at the queue and its claim. Meanwhile another one, on the other mount, does the work.
  given(isPossible).test.each([
    ['a lock', 'lock', 'claim.lock', 1],
    ['a rename', 'rename', 'claim.rename', 0],
  ])('a stale name and a claim by %s', async (_way, claims, point, twice) => {
    const { runs, isStale, staysStale } = await onMounts<{
      runs: number
      isStale: boolean
      staysStale: boolean
    }>(
      `
    const pause = path.join(given.logs, 'pause')
    const queue = await Queue.install('q', { root: a, claims: '${claims}' })
    const other = new Queue('q', { root: b, onReport: () => undefined })
    const id = await queue.enqueue('x')
    const addon = (await import('node:module')).createRequire(given.race)('../../binding.cjs')
    addon.setFaults('${point}#1=pause:' + pause)
    const slow = other.scan().next()
    await until(() => fs.existsSync(pause))
    let runs = 0
    for await (const item of queue.scan()) {
      runs++
      await item.done()
    }
    const isStale = fs.existsSync(b + '/q/queue/' + id)
    fs.unlinkSync(pause)
    const { value } = await slow
    if (value !== undefined) runs++
    const staysStale = fs.existsSync(b + '/q/queue/' + id)
    await other.close()
    await queue.close()
    return { runs, isStale, staysStale }`,
      { flags: ['--require', FAULT_BUILD] },
    )
    // The kernel may drop a name from its cache at any time: then the slow worker has seen either state.
    const expected = isStale === staysStale ? [isStale ? 1 + twice : 1] : [1, 1 + twice]
    expect(expected).toContain(runs)
  })

  given(isPossible).test(
    'workers that are killed, on both: each item is finished once, and has one worker at a time',
    async () => {
      interface Outcome {
        readonly keys: string[]
        readonly done: string[]
        readonly again: number
      }
      const { keys, done, again, ...bad } = await onMounts<Outcome>(`
    await (await Queue.install('q', { root: a, claims: 'rename' })).close()
    const { race } = await import(given.race)
    return race({ mounts: [a, b], done: back + '/q/done', logs: given.logs, kills: 10 })`)
      expect(bad).toEqual({ finishedTwice: 0, atATime: 0, problems: [] })
      expect(done).toEqual(keys)
      // Else no worker had an item when it was killed.
      expect(again).toBeGreaterThan(0)
    },
  )

  given(isPossible).test('a worker whose directory the other mount has removed begins anew', async () => {
    const done = await onMounts<number>(`
    const producer = await Queue.install('q', { root: a, claims: 'rename' })
    const worker = new Queue('q', { root: b })
    const drain = async () => {
      let count = 0
      for await (const item of worker.scan()) {
        count++
        await item.done()
      }
      return count
    }
    await producer.enqueue('x')
    await drain()
    for (const name of fs.readdirSync(a + '/q/claimed')) fs.rmSync(a + '/q/claimed/' + name, { recursive: true })
    await producer.enqueue('y')
    await until(async () => (await drain()) === 1)
    await producer.close()
    await worker.close()
    return fs.readdirSync(back + '/q/done').length`)
    expect(done).toBe(2)
  })

  given(isPossible).test.each(['glusterfs', 'ceph-fuse'])(
    'an installation on a mount of the type fuse.%s is one on a network file system',
    async (type) => {
      const seen = await onMounts<object>(
        `
    const refused = await errorOf(() => Queue.install('q', { root: a }))
    const queue = await Queue.install('q', { root: a, allowNetwork: true })
    await queue.close()
    return { code: refused?.code, byRename: fs.existsSync(back + '/q/claims-rename') }`,
        { type },
      )
      expect(seen).toEqual({ code: 'ERR_FSQ_NETWORK_FS', byRename: true })
    },
  )

  given(isPossible).test('an item waits for its delay', async () => {
    const seen = await onMounts<object>(`
    const reports = []
    const producer = await Queue.install('q', { root: a, claims: 'rename' })
    const worker = new Queue('q', { root: b, maxTries: 2, onReport: ({ type }) => reports.push(type) })
    await producer.enqueue('x', [], { delay: 3_600_000 })
    await producer.enqueue('y')
    for await (const item of worker.scan()) await item.retry({ delay: 3_600_000 })
    const { delayed } = await worker.stats()
    for await (const item of worker.scan()) reports.push('came')
    await producer.close()
    await worker.close()
    return { delayed, reports }`)
    expect(seen).toEqual({ delayed: 2, reports: [] })
  })

  given(isPossible).describe('fsq doctor --peer', () => {
    const probing = (...mounts: string[]): string =>
      `return Promise.all([${mounts.join()}].map((mount) => fsq.probePeer(mount)))`

    given(isPossible).test('allows claims by renames only, as names are stale', async () => {
      const probes = await onMounts<PeerProbe[]>(probing('a', 'b'))
      for (const { promises, locks, names, renames } of probes) {
        expect(locks).toEqual({ fcntl: { works: true }, flock: { works: true } })
        // The kernel may drop a name from its cache at any time.
        expect(names.staleAfterAsking).toBeGreaterThan(0)
        expect(names.stale).toBeGreaterThanOrEqual(names.staleAfterAsking)
        expect(names.looks).toBeGreaterThanOrEqual(names.stale)
        expect(names.renamed).toBe(0)
        expect(renames).toMatchObject({ twice: 0, lost: 0 })
        expect(promises).toMatchObject({
          lockClaims: { kept: 'no', reason: expect.stringMatching(/^names are stale/) },
          renameClaims: { kept: 'yes' },
          finishedOnce: { kept: 'yes' },
        })
      }
    })

    given(isPossible).test('finds out that each mount has locks of its own', async () => {
      const probes = await onMounts<PeerProbe[]>(probing('a', 'b'), { locks: 'none' })
      for (const { promises } of probes)
        expect(promises.renameClaims).toEqual({
          kept: 'no',
          reason: expect.stringMatching(/^neither fcntl locks/),
        })
    })

    given(isPossible).test('finds out that fcntl locks do not exclude, although flock does', async () => {
      const probes = await onMounts<PeerProbe[]>(probing('a', 'a'), { locks: 'mixed' })
      for (const { promises } of probes) {
        const reason = expect.stringMatching(/^fcntl locks \(no effect\) do not exclude the other machine/)
        expect(promises).toMatchObject({ lockClaims: { kept: 'yes' }, renameClaims: { kept: 'no', reason } })
      }
    })
  })
})
