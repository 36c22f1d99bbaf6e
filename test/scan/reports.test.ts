import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'

import { afterEach, describe, expect, jest, test } from '@jest/globals'

import { SettingError } from '../../src/errors/classes.js'
import { native } from '../../src/addon/native.js'
import { Queue } from '../../src/queue.js'
import type { Report } from '../../src/report.js'
import {
  checkError,
  drain,
  errorOf,
  itemName,
  names,
  plant,
  useTestBed,
  lockedNames,
} from '../support/queue.js'

const bed = useTestBed()

afterEach(() => {
  jest.restoreAllMocks()
})

describe('reports', () => {
  test('without a listener are warnings of the process', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const queue = await bed.install({ onReport: undefined })
    plant(queue, 'a\x1b[31mb')
    await drain(queue)
    await drain(queue)
    expect(warn.mock.calls).toHaveLength(1)
    const [message, details] = warn.mock.calls[0] as unknown as [string, unknown]
    expect(message).toMatch(/^'a\\+x1b\[31mb' in the queue 'q' is no item: .*moved to fail\/$/)
    expect(details).toEqual({ type: 'FsqWarning', code: 'FSQ_MALFORMED' })
  })

  test('are warned of once a process, whatever the handle', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    await bed.install({ onReport: undefined })
    await bed.install({ onReport: undefined }, 'r')
    for (const name of ['q', 'q', 'r']) {
      fs.mkdirSync(bed.path(name, 'queue', 'x'), { recursive: true })
      await drain(bed.open({ onReport: undefined }, name))
    }
    expect(warn.mock.calls.map(([message]) => String(message).replace(/, not.*/, ''))).toEqual([
      "'x' in the queue 'q' is a directory",
      "'x' in the queue 'r' is a directory",
    ])
  })

  test('are heard once by each listener, however many scans it listens to', async () => {
    const queue = await bed.install()
    fs.mkdirSync(path.join(queue.path, 'queue', 'x'))
    const [one, other]: [Report[], Report[]] = [[], []]
    const onReport = (report: Report): void => void one.push(report)
    await drain(queue, { onReport })
    await drain(queue, { onReport })
    await drain(queue, { onReport: (report) => void other.push(report) })
    expect([one.length, other.length]).toEqual([1, 1])
  })

  test('whose listener throws while malformed items are on their way to fail/: an error of the loop alone', async () => {
    const queue = await bed.install()
    plant(queue, 'malformed')
    fs.mkdirSync(path.join(queue.path, 'queue', 'a-directory'))
    const unhandled: unknown[] = []
    const note = (reason: unknown): void => void unhandled.push(reason)
    process.on('unhandledRejection', note)
    const onReport = ({ type }: Report): void => {
      throw new Error(type)
    }
    const error = await errorOf(async () => drain(queue, { onReport, prefetch: 5 }))
    expect(String(error)).toMatch(/foreign|malformed/)
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', note)
    expect(unhandled).toEqual([])
    expect(native.heldClaims()).toBe(0)
    expect(names(queue, 'fail')).toEqual(['malformed'])
  })

  test('beside what has succeeded: a listener that throws makes a warning, not an error', async () => {
    const warn = jest.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    const onReport = (): never => {
      throw new Error('enough')
    }
    const queue = await bed.install({ onReport })
    fs.writeFileSync(path.join(queue.path, 'trigger-fifo'), 'no FIFO')
    const id = await queue.enqueue('x', [], { trigger: true })
    expect(names(queue, 'queue')).toEqual([id])
    const [[message, details] = []] = warn.mock.calls as unknown as [string, unknown][]
    expect(message).toMatch(/^onReport threw: Error: enough/)
    expect(details).toEqual({ type: 'FsqWarning', code: 'FSQ_ON_REPORT' })
  })

  test('go to the listener of the scan, if it has one', async () => {
    const queue = await bed.install()
    plant(queue, 'malformed')
    const heard: Report[] = []
    await drain(queue, { onReport: (report) => void heard.push(report) })
    expect(heard.map(({ type, name }) => [type, name])).toEqual([['malformed', 'malformed']])
    expect(bed.reports).toEqual([])
  })

  test('need a listener that can be called', async () => {
    const queue = await bed.install()
    plant(queue, 'malformed')
    const onReport = 'log' as unknown as () => void
    const expected = { type: SettingError, says: /^onReport is 'log', expected a function$/ }
    checkError(await errorOf(async () => drain(queue, { onReport })), expected)
    checkError(await errorOf(async () => new Queue('q', { root: bed.root, onReport })), expected)
    expect(names(queue, 'queue')).toEqual(['malformed'])
  })

  test('whose listener throws end the scan, and nothing is held', async () => {
    const queue = await bed.install()
    plant(queue, itemName())
    fs.mkdirSync(path.join(queue.path, 'queue', 'a-directory'))
    const onReport = (): never => {
      throw new Error('enough')
    }
    const error = await errorOf(async () => drain(queue, { onReport, prefetch: 5 }))
    expect(error).toMatchObject({ message: 'enough' })
    expect(lockedNames(queue)).toEqual([])
    expect(native.heldClaims()).toBe(0)
    await drain(queue)
    expect(names(queue, 'done')).toEqual([itemName()])
  })
})

test('an item does not wait until the malformed ones of its batch are in fail/', async () => {
  const queue = await bed.install()
  plant(queue, 'malformed')
  const id = itemName()
  plant(queue, id)
  let moveNow = (): void => undefined
  const gate = new Promise<void>((resolve) => (moveNow = resolve))
  const finish = native.finish
  jest.spyOn(native, 'finish').mockImplementationOnce(async (handle, numbers, ...rest) => {
    const copy = numbers.slice()
    await gate
    return finish(handle, copy, ...rest)
  })
  const loop = queue.scanForever({ prefetch: 4, onReport: () => undefined })
  const { value } = await loop.next()
  expect(value).toMatchObject({ id })
  expect(names(queue, 'fail')).toEqual([])
  moveNow()
  await loop.return()
  expect(names(queue, 'fail')).toEqual(['malformed'])
})
