/**
 * Queues whose claims are renames, on a file system that another machine serves: the fault build has the kernel answer with such a type.
 */
import fs from 'node:fs'
import path from 'node:path'

import { expect } from '@jest/globals'

import { onLinux } from '../support/needs.js'
import { inProgram, run, useTestBed } from '../support/queue.js'
import { FAULT_BUILD } from '../support/fault-build.js'

const bed = useTestBed()
const NFS = 0x6969

/** Runs code with an `open(options)` for the queue, and the `addon`. */
async function onNfs<Result>(body: string, faults = ''): Promise<Result> {
  await bed.install({ claims: 'rename' })
  return inProgram<Result>(
    `
    const reports = []
    const open = (options) => new Queue('q', {
      root: given.root, allowNetwork: true, maxTries: 5, onReport: ({ type, message }) => reports.push([type, message]), ...options,
    })
    ${body}`,
    {
      given: { root: bed.root },
      flags: ['--require', FAULT_BUILD],
      env: { FSQ_FAULTS: `open.fstatfs=answer:${NFS};${faults}` },
    },
  )
}

onLinux('an enqueue with a delay is refused where the file system keeps no time in the future', async () => {
  const [code, message, counts] = await onNfs<[string, string, { waiting: number; tmp: number }]>(
    `
    const queue = open()
    const error = await queue.enqueue('x', [], { delay: 60_000 }).catch((reason) => reason)
    return [error.code, error.message, await queue.counts()]`,
    'enqueue.delayed=answer:0',
  )
  expect(code).toMatch(/^ERR_FSQ_/)
  expect(message).toMatch(/keeps no time in the future.*enqueue it without a delay/)
  expect(counts).toMatchObject({ waiting: 0, tmp: 0 })
})

onLinux('a retry with a delay is due at once there, and that is reported', async () => {
  const reports = await onNfs<[string, string][]>(
    `
    const queue = open()
    await queue.enqueue('x')
    for await (const item of queue.scan()) await item.retry({ delay: 60_000 })
    await queue.close()
    return reports`,
    'finish.delayed=answer:0',
  )
  expect(reports).toEqual([['undelayed', expect.stringContaining('keeps no time in the future')]])
})

// A client of NFS answers a second reading of an open directory from its cache, for up to a minute.
onLinux('a loop that waits opens the directory anew for each look', async () => {
  const code = await onNfs<string>(
    `
    const queue = open()
    try {
      for await (const item of queue.scanForever({ signal: AbortSignal.timeout(10_000) })) await item.done()
    } catch (error) {
      return error.cause?.code ?? error.name
    }`,
    'list.open#2=errno:5',
  )
  expect(code).toBe('EIO')
})

onLinux('a delay is kept where the file system keeps it', async () => {
  const due = await onNfs<number>(`
    const queue = open()
    await queue.enqueue('x', [], { delay: 3_600_000 })
    for await (const item of queue.scan()) throw new Error('not due: ' + item.id)
    const { delayed } = await queue.stats()
    await queue.close()
    return delayed`)
  expect(due).toBe(1)
})

/** The answers of a program in test/programs. */
async function answersOf(program: string): Promise<unknown[]> {
  const far = `open.fstatfs=answer:${NFS}`
  const file = path.join(import.meta.dirname, '../programs', program)
  const args = ['--require', FAULT_BUILD, file, JSON.stringify({ root: bed.root, far })]
  const ended = await run(process.execPath, args, { ...process.env, FSQ_FAULTS: far })
  expect(ended).toMatchObject({ code: 0, stderr: expect.not.stringContaining('rror') })
  return ended.stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
}

onLinux('no asynchronous function of the API makes a call on files in the JavaScript thread', async () => {
  await bed.install({ claims: 'rename' })
  await bed.install({ claims: 'lock' }, 'locks')
  const [untried, ...calls] = await answersOf('far-calls.mjs')
  expect(untried).toEqual({ untried: [] })
  expect(calls.length).toBeGreaterThan(20)
  for (const one of calls) expect(one).toEqual({ name: expect.any(String), made: [] })
})

onLinux('a handler begins when the file of its worker names the item', async () => {
  await bed.install({ claims: 'rename' })
  const answers = await answersOf('far-order.mjs')
  expect(answers).toEqual(['one', 'two', 'three'].map((arg) => ({ arg, isNamed: true })))
})

onLinux('a delay that is over before its file gets its time is none that was not kept', async () => {
  const [tries, reports] = await onNfs<[number[], string[][]]>(
    `
    const queue = open()
    await queue.enqueue('x', [], { delay: 1 })
    const tries = []
    for (let round = 0; round < 2; round++)
      for await (const item of queue.scan()) {
        tries.push(item.tries)
        if (round === 0) await item.retry({ delay: 1 })
      }
    await queue.close()
    return [tries, reports]`,
    'enqueue.utimens=delay:50;finish.utimens=delay:50',
  )
  expect(tries).toEqual([0, 1])
  expect(reports).toEqual([])
})

// Of calls in this thread, node:fs shows those by name; native code has asynchronous functions of its own.
onLinux('a worker makes no call on files in the JavaScript thread', async () => {
  const calls = await onNfs<string[]>(`
    const queue = open()
    const { createRequire, syncBuiltinESMExports } = await import('node:module')
    const fs = createRequire(given.root + '/')('node:fs')
    const calls = []
    let isWorking = false
    for (const name of Object.keys(fs).filter((key) => key.endsWith('Sync'))) {
      const call = fs[name]
      fs[name] = (...args) => {
        if (isWorking && String(args[0]).includes(given.root)) calls.push(name + ' ' + args[0])
        return call(...args)
      }
    }
    syncBuiltinESMExports()
    for (let index = 0; index < 20; index++) await queue.enqueue('x')
    for (const part of ['', '/log', '/crashed', '/crashed/another']) fs.mkdirSync(queue.path + '/meta' + part)
    const worker = await queue.work(async (item) => {
      isWorking = true
      if ((await item.text()) !== 'x') throw new Error('not its contents')
    })
    await worker.idle()
    isWorking = false
    await queue.close()
    return calls`)
  expect(calls).toEqual([])
  expect(fs.readdirSync(path.join(bed.root, 'q', 'done'))).toHaveLength(20)
})

onLinux(
  'an item with too many crash marks fails unrun: its marks are read before it is handed out',
  async () => {
    const outcome = await onNfs<[ran: number, reason: string]>(`
    const queue = open()
    const id = await queue.enqueue('x')
    const fs = await import('node:fs')
    const item = await queue.find(id)
    const meta = queue.path + '/meta'
    for (const part of ['', '/log', '/crashed']) fs.mkdirSync(meta + part)
    fs.writeFileSync(meta + '/crashed/' + item.key, '')
    const mark = (index) => JSON.stringify({
      at: new Date().toISOString(), crashed: true, together: 1, try: 1, host: 'other', pid: 1, id, worker: 'other-1-' + index, since: 'then',
    })
    fs.writeFileSync(meta + '/log/' + item.key, [0, 1, 2].map(mark).join('\\n') + '\\n')
    let ran = 0
    let reason
    const worker = await queue.work(async () => ran++, { maxCrashes: 3 })
    await new Promise((resolve) => worker.on('failed', (event) => { reason = event.reason; resolve() }))
    await queue.close()
    return [ran, reason]`)
    expect(outcome).toEqual([0, 'crashed'])
  },
)

// There, an item is opened with a flag that makes reads of some file systems need whole blocks.
onLinux('small contents come with the claim', async () => {
  const texts = await onNfs<string[]>(`
    const queue = open()
    await queue.enqueueMany([{ data: 'x' }, { data: 'y'.repeat(1001) }])
    const fs = await import('node:fs')
    const texts = []
    for await (const item of queue.scan()) {
      fs.truncateSync(item.path)
      texts.push(await item.text())
      await item.done()
    }
    await queue.close()
    return texts`)
  expect(texts).toEqual(['x', 'y'.repeat(1001)])
})
