/** Queues on network file systems: the warning of those whose workers lock items, and the thread of looks. The fault build has the kernel answer with such a type. */
import fs from 'node:fs'
import path from 'node:path'

import { expect } from '@jest/globals'

import { onLinux } from '../support/needs.js'
import { inProgram, useTestBed } from '../support/queue.js'
import { FAULT_BUILD } from '../support/fault-build.js'

const bed = useTestBed()
const NFS = 0x6969

interface Warned {
  readonly code: string
  readonly message: string
}

async function warningsOf(body: string, type = NFS): Promise<readonly Warned[]> {
  const all = await inProgram<Warned[]>(
    `
    const warnings = []
    process.on('warning', ({ code, message }) => warnings.push({ code, message }))
    const open = (name, options) => new Queue(name, { root: given.root, allowNetwork: true, ...options })
    ${body}
    await new Promise(setImmediate)
    return warnings`,
    {
      given: { root: bed.root },
      flags: ['--require', FAULT_BUILD],
      env: { FSQ_FAULTS: `open.fstatfs=answer:${type}` },
    },
  )
  return all.filter(({ code }) => code === 'FSQ_NETWORK_LOCKS')
}

onLinux.each([
  ['an asynchronous', "await open('q').counts()"],
  ['a synchronous', "open('q').enqueueSync('x')"],
])('%s use of such a queue warns once, and says what to do', async (_which, use) => {
  await bed.install()
  const [warning, ...more] = await warningsOf(`${use}; ${use}; await open('q').isEmpty()`)
  expect(more).toEqual([])
  expect(warning?.message).toMatch(
    /^The queue 'q' \(.*\/q\) is on a network file system \(nfs\), and its workers lock items: .*fsq repair --claims=rename q'/,
  )
})

onLinux('each queue has a warning of its own', async () => {
  await bed.install()
  await bed.install({}, 'r')
  expect(
    await warningsOf("await open('q').counts(); await open('r').counts(); await open('q').counts()"),
  ).toHaveLength(2)
})

onLinux(
  'there is none for claims by renaming, for scans that lock nothing, and on local file systems',
  async () => {
    await bed.install({ claims: 'rename' })
    await bed.install({}, 'r')
    expect(await warningsOf("await open('q').counts()")).toEqual([])
    expect(await warningsOf("await open('r', { lock: false }).counts()")).toEqual([])
    expect(await warningsOf("await open('r').counts()", 0xef53)).toEqual([])
  },
)

onLinux('on a network file system, stats and prune look at files beside this thread', async () => {
  const queue = await bed.install({ claims: 'rename' })
  const [done, waiting] = [await queue.enqueue('1'), await queue.enqueue('2')]
  fs.renameSync(path.join(queue.paths.queue, done), path.join(queue.paths.done, done))
  const seen = await inProgram<Record<string, unknown>>(
    `
    const queue = new Queue('q', { root: given.root, allowNetwork: true })
    await queue.counts()
    fs.lstatSync = fs.unlinkSync = () => { throw new Error('on this thread') }
    const stats = await queue.stats()
    return { waiting: stats.waiting, done: stats.done.total, ...(await queue.prune({ done: { count: 0 } })) }`,
    {
      given: { root: bed.root },
      flags: ['--require', FAULT_BUILD],
      env: { FSQ_FAULTS: `open.fstatfs=answer:${NFS}` },
    },
  )
  expect(seen).toEqual({ waiting: 1, done: 1, removed: 1 })
  expect(fs.readdirSync(queue.paths.queue)).toEqual([waiting])
})
