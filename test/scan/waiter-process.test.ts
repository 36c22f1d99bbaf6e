import os from 'node:os'

import { describe, expect, test } from '@jest/globals'

import { FAULT_BUILD } from '../support/fault-build.js'
import { onLinux } from '../support/needs.js'
import { inProgram, useTestBed } from '../support/queue.js'

const bed = useTestBed()

describe('in a process of its own', () => {
  const GIVE = `
    const queue = await Queue.install('q', { root: given.root })
    const stop = new AbortController()
    const warnings = []
    process.on('warning', ({ code }) => warnings.push(code))
  `

  const noWatch = [
    ['no inotify instance is left', 'watch.init=errno:24'],
    ['no inotify watch is left', 'watch.add=errno:28'],
    ['no inotify watch is left for the second directory', 'watch.add#2=errno:28'],
  ] as const

  onLinux.each(noWatch)('%s: the trigger is heard all the same', async (_what, faults) => {
    const answer = await inProgram(
      `${GIVE}
      await queue.trigger()
      // No look but the one that the trigger asks for.
      const { setTimeout: later } = globalThis
      globalThis.setTimeout = (callback, delay) => later(callback, delay > 100 ? 2 ** 30 : delay)
      const waits = new Promise((resolve) => process.on('warning', resolve))
      const items = queue.scanForever()
      const first = items.next()
      await waits
      await queue.enqueue('x', [], { trigger: true })
      const { value } = await first
      const text = await value.text()
      await value.done()
      await items.return()
      return { text, warnings }`,
      {
        given: { root: bed.root },
        flags: ['--require', FAULT_BUILD],
        env: { FSQ_FAULTS: faults },
      },
    )
    expect(answer).toEqual({ text: 'x', warnings: ['FSQ_NO_WATCH'] })
  })

  onLinux.each(noWatch)('%s: slower, with one warning', async (_what, faults) => {
    const answer = await inProgram(
      `${GIVE}
      const loop = async () => {
        for await (const item of new Queue('q', { root: given.root }).scanForever({ signal: stop.signal })) return item.done()
      }
      const loops = [loop(), loop()]
      await new Promise((resolve) => setTimeout(resolve, 100))
      await queue.enqueueMany([{ data: 'x' }, { data: 'y' }])
      await Promise.all(loops)
      return { warnings, counts: await queue.counts() }`,
      {
        given: { root: bed.root },
        flags: ['--require', FAULT_BUILD],
        env: { FSQ_FAULTS: faults },
      },
    )
    expect(answer).toMatchObject({ warnings: ['FSQ_NO_WATCH'], counts: { waiting: 0, done: 2 } })
  })

  // There a thread of our own polls, as the event loop has no place for it.
  const ELSEWHERE = encodeURIComponent(
    "Object.defineProperty(process, 'versions', { value: { ...process.versions, bun: '1.0.0' } })",
  )

  onLinux.each([
    ['the event loop', []],
    ['a thread', ['--import', `data:text/javascript,${ELSEWHERE}`]],
  ])('new items and released items wake the loop by %s, without a look', async (_way, flags) => {
    const answer = await inProgram(
      `${GIVE}
      const { setTimeout: later } = globalThis
      globalThis.setTimeout = (callback, delay) => later(callback, delay > 100 ? 2 ** 30 : delay)
      const items = queue.scanForever()
      const first = items.next()
      await new Promise((resolve) => later(resolve, 100))
      await queue.enqueue('held')
      const { value } = await first
      const second = items.next()
      await new Promise((resolve) => later(resolve, 100))
      await queue.enqueue('new')
      const { value: another } = await second
      const texts = [await value.text(), await another.text()]
      // By another handle of this process, of whose releases this loop hears nothing but from the kernel.
      const third = items.next()
      await value.done()
      await another.done()
      const side = await Queue.install('side', { root: given.root })
      const id = await side.enqueue('free')
      for await (const item of side.scan()) {
        fs.renameSync(side.path + '/queue/' + id, queue.path + '/queue/' + id)
        await new Promise((resolve) => later(resolve, 100))
        item.release()
      }
      const { value: freed } = await third
      texts.push(await freed.text())
      await freed.done()
      await items.return()
      return texts`,
      { given: { root: bed.root }, flags },
    )
    expect(answer).toEqual(['held', 'new', 'free'])
  })

  test('more items in the hands of others than there are descriptors', async () => {
    const queue = await bed.install({ durability: 'none' })
    await queue.enqueueMany(Array.from({ length: 150 }, () => ({ data: 'held' })))
    const held = []
    for await (const item of bed.open().scan({ prefetch: 1 })) held.push(item)
    expect(held).toHaveLength(150)
    const free = await queue.enqueue('free')
    const answer = await inProgram(
      `const queue = new Queue('q', { root: given.root })
      for await (const item of queue.scanForever()) {
        await item.done()
        return { id: item.id, open: fs.readdirSync('/dev/fd').length }
      }`,
      { given: { root: bed.root }, shell: 'ulimit -n 100' },
    )
    expect(answer).toMatchObject({ id: free })
    // Descriptors of items that others hold are kept open, but only a part of all that the process may have.
    expect((answer as { open: number }).open).toBeLessThan(60)
    for (const item of held) item.release()
  })

  onLinux('inotify that fails later: the rescan finds all', async () => {
    const answer = await inProgram(
      `${GIVE}
      setTimeout(() => queue.enqueue('x'), 100)
      for await (const item of queue.scanForever({ signal: stop.signal })) return item.text()`,
      {
        given: { root: bed.root },
        flags: ['--require', FAULT_BUILD],
        env: { FSQ_FAULTS: 'watch.read=errno:5' },
      },
    )
    expect(answer).toBe('x')
  })

  onLinux(
    'where other machines may change the queue, no watch is relied upon: a look each second',
    async () => {
      const answer = await inProgram<number[]>(
        `const queue = await Queue.install('q', { root: given.root, allowNetwork: true })
      const items = queue.scanForever()
      const waits = []
      for (let count = 0; count < 3; count++) {
        const next = items.next()
        await new Promise((resolve) => setTimeout(resolve, 100))
        const begun = performance.now()
        queue.enqueueSync('x')
        const { value } = await next
        waits.push(performance.now() - begun)
        await value.done()
      }
      await items.return()
      return waits`,
        {
          given: { root: bed.root },
          flags: ['--require', FAULT_BUILD],
          // nfs, whose watches are silent.
          env: { FSQ_FAULTS: `open.fstatfs=answer:26985;watch.read=errno:${os.constants.errno.EAGAIN}` },
        },
      )
      for (const wait of answer) expect(wait).toBeLessThan(3000)
    },
  )

  test('without locks, an item that was dropped is handed out again', async () => {
    const answer = await inProgram(
      `const queue = await Queue.install('q', { root: given.root, lock: false })
      process.on('warning', () => {})
      queue.enqueueSync('x')
      const items = queue.scanForever()
      await (async () => void (await items.next()).value.size)()
      const next = items.next()
      let again
      next.then(({ value }) => (again = value))
      await until(() => {
        globalThis.gc()
        return again !== undefined
      })
      await again.done()
      await items.return()
      return (await queue.counts()).done`,
      { given: { root: bed.root }, flags: ['--expose-gc'] },
    )
    expect(answer).toBe(1)
  })

  test('a loop that waits keeps it alive, and no longer than that', async () => {
    const answer = await inProgram(
      `${GIVE}
      let ended = false
      void (async () => {
        for await (const item of queue.scanForever({ signal: stop.signal })) await item.done()
      })().catch(() => (ended = true))
      await new Promise((resolve) => setTimeout(resolve, 50).unref())
      setTimeout(() => stop.abort(), 100).unref()
      await new Promise((resolve) => stop.signal.addEventListener('abort', () => setImmediate(resolve)))
      return ended`,
      { given: { root: bed.root } },
    )
    expect(answer).toBe(true)
  })

  test('a loop that has an item does not keep it alive', async () => {
    const answer = await inProgram(
      `${GIVE}
      setTimeout(() => queue.enqueueSync('x'), 50)
      const timers = () => process.getActiveResourcesInfo().filter((resource) => resource === 'Timeout').length
      for await (const item of queue.scanForever({ signal: stop.signal })) {
        await item.done()
        return timers()
      }`,
      { given: { root: bed.root } },
    )
    expect(answer).toBe(0)
  })

  test('an abandoned loop is forgotten, though its signal lives on', async () => {
    const answer = await inProgram(
      `${GIVE}
      const { getEventListeners } = await import('node:events')
      const listeners = () => getEventListeners(stop.signal, 'abort').length
      queue.enqueueSync('x')
      await (async () => {
        const loop = new Queue('q', { root: given.root }).scanForever({ signal: stop.signal })
        await (await loop.next()).value.done()
      })()
      const before = listeners()
      await until(() => { globalThis.gc(); return listeners() < before })
      return [before, listeners()]`,
      { given: { root: bed.root }, flags: ['--expose-gc'] },
    )
    expect(answer).toEqual([1, 0])
  })

  onLinux('nor do the handle of the queue, and what it watched is closed', async () => {
    const answer = await inProgram(
      `${GIVE}
      const watches = () =>
        fs.readdirSync('/proc/self/fd').filter((fd) => {
          try {
            return fs.readlinkSync('/proc/self/fd/' + fd).includes('inotify')
          } catch {
            return false
          }
        }).length
      await (async () => {
        for (let at = 0; at < 5; at++) {
          const loop = queue.scanForever()
          const next = loop.next()
          await new Promise((resolve) => setTimeout(resolve, 20))
          queue.enqueueSync('x')
          await (await next).value.done()
        }
      })()
      const before = watches()
      await until(async () => {
        globalThis.gc()
        await new Promise((resolve) => setTimeout(resolve, 10))
        return watches() === 0
      })
      return before`,
      { given: { root: bed.root }, flags: ['--expose-gc'] },
    )
    // One for all.
    expect(answer).toBe(1)
  })

  test('a loop that has been woken for nothing still keeps it alive', async () => {
    const answer = await inProgram(
      `${GIVE}
      const heard = []
      // Two entries that are no items wake it, and these timers do not keep the process alive.
      setTimeout(() => fs.mkdirSync(queue.paths.queue + '/one'), 50).unref()
      setTimeout(() => fs.mkdirSync(queue.paths.queue + '/two'), 100).unref()
      setTimeout(() => queue.enqueueSync('x'), 200).unref()
      for await (const item of new Queue('q', { root: given.root, onReport: ({ type }) => heard.push(type) }).scanForever()) {
        heard.push(await item.text())
        await item.done()
        return heard
      }`,
      { given: { root: bed.root } },
    )
    expect(answer).toEqual(['foreign', 'foreign', 'x'])
  })

  test.each([
    'process.exit(0)',
    'setImmediate(() => process.exit(0))',
    'setTimeout(() => process.exit(0), 30)',
  ])('%s while many wait', async (exit) => {
    const answer = await inProgram(
      `${GIVE}
        for (let loop = 0; loop < 20; loop++) void queue.scanForever().next().catch(() => {})
        await new Promise((resolve) => setTimeout(resolve, 30))
        setInterval(() => queue.enqueueSync('x'), 0)
        fs.writeFileSync(1, JSON.stringify({ answer: 'waited' }))
        ${exit}
        await new Promise(() => {})`,
      { given: { root: bed.root } },
    )
    expect(answer).toBe('waited')
  })

  test('worker threads that are terminated while they wait', async () => {
    const answer = await inProgram(
      `${GIVE}
      const { Worker } = await import('node:worker_threads')
      const source = \`
        import { parentPort, workerData } from 'node:worker_threads'
        const { Queue } = await import(workerData.index)
        const loop = async () => {
          for await (const item of new Queue('q', { root: workerData.root }).scanForever()) await item.done()
        }
        for (let count = 0; count < 5; count++) void loop()
        setTimeout(() => parentPort.postMessage('waits'), 20)
      \`
      const producer = setInterval(() => queue.enqueueSync('x'), 1)
      for (let round = 0; round < 10; round++) {
        const workerData = { root: given.root, index: process.env.FSQ_TEST_INDEX }
        const workers = [1, 2].map(() => new Worker(source, { eval: true, workerData }))
        await Promise.all(workers.map((worker) => new Promise((resolve) => worker.once('message', resolve))))
        await Promise.all(workers.map((worker) => worker.terminate()))
      }
      clearInterval(producer)
      for await (const item of queue.scan()) await item.done()
      const watches = fs.readdirSync('/proc/self/fd').filter((fd) => {
        try { return fs.readlinkSync('/proc/self/fd/' + fd).includes('inotify') } catch { return false }
      })
      return { waiting: (await queue.counts()).waiting, watches: watches.length }`,
      { given: { root: bed.root } },
    )
    expect(answer).toEqual({ waiting: 0, watches: 0 })
  }, 60_000)
})
