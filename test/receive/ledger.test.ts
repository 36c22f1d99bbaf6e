// The ledger by itself: against a model, cut at any byte, pruned, and its memory.
import fs from 'node:fs'
import path from 'node:path'

import { expect, jest, test } from '@jest/globals'
import fc from 'fast-check'

import { isSegmentName } from '../../src/directory/received.js'
import { Ledger, type LedgerOptions } from '../../src/receive/ledger.js'
import { LedgerTable, hashOf } from '../../src/receive/ledger-table.js'
import { makeDirectory } from '../support/child.js'

const ACCESS = { directoryMode: 0o700, fileMode: 0o600, owner: { user: -1, group: -1 } }
const HOUR = 3_600_000

async function open(directory: string, options: Partial<LedgerOptions> = {}): Promise<Ledger> {
  return Ledger.open(directory, ACCESS, { keep: 96 * HOUR, ...options })
}

function segmentsIn(directory: string): string[] {
  return fs.readdirSync(directory).filter(isSegmentName).toSorted()
}

/** A generator of numbers below a limit, the same for each seed. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

const FIELDS = ['_20261127_0_1_host_0', 'with space', 'line\nbreak', 'back\\slash', '\xff\x00', '']

test('entries are found with their fields and their state, also after it was opened again', async () => {
  const directory = makeDirectory({ quick: true })
  let ledger = await open(directory)
  const all = FIELDS.map((field, at) => ({ id: `a:${at}`, fields: [field, `${at}`] }))
  const added = await Promise.all(all.map(({ id, fields }) => ledger.add(id, fields)))
  await Promise.all(added.filter((_, at) => at % 2 === 0).map((entry) => ledger.settle(entry)))
  for (let round = 0; round < 2; round++) {
    for (const [at, { id, fields }] of all.entries())
      expect(await ledger.find(id)).toMatchObject({ id, fields, isSettled: at % 2 === 0 })
    expect(await ledger.find('a:77')).toBeUndefined()
    await ledger.close()
    ledger = await open(directory)
  }
  // A second entry takes the place of the first one.
  await ledger.add('a:0', ['new'])
  expect(await ledger.find('a:0')).toMatchObject({ fields: ['new'], isSettled: false })
  await ledger.close()
  ledger = await open(directory)
  expect(await ledger.find('a:0')).toMatchObject({ fields: ['new'], isSettled: false })
  await ledger.close()
})

test('cut at any byte, it has each entry whose line is whole, and goes on from there', async () => {
  for (let seed = 1; seed <= 30; seed++) {
    const random = numbersFrom(seed)
    const directory = makeDirectory({ quick: true })
    const options = { fullSegment: 200 + random(2000) }
    /** What the lines of the files say. */
    let model = new Map<string, { field: string; isSettled: boolean }>()
    for (let life = 0; life < 6; life++) {
      const ledger = await open(directory, options)
      for (const [id, { field, isSettled }] of model)
        expect(await ledger.find(id)).toMatchObject({ fields: [field], isSettled })
      const ids = Array.from({ length: 1 + random(20) }, () => `s:${random(30)}`)
      await Promise.all(
        [...new Set(ids)].map(async (id) => {
          const before = await ledger.find(id)
          expect(before !== undefined).toBe(model.has(id))
          const field = FIELDS[random(FIELDS.length)] ?? ''
          const entry = await ledger.add(id, [field])
          if (random(2) === 0) await ledger.settle(entry)
        }),
      )
      await ledger.close()
      cutLast(directory, random)
      model = modelOf(directory)
    }
  }
})

/** Cuts the last segment at any byte, or appends bytes that no one has written. */
function cutLast(directory: string, random: (below: number) => number): void {
  const last = path.join(directory, segmentsIn(directory).at(-1) ?? '')
  const { size } = fs.statSync(last)
  if (random(3) === 0) fs.appendFileSync(last, Buffer.alloc(random(50)))
  else fs.truncateSync(last, size - random(Math.min(size, 400) + 1))
}

/** An independent reading of the files. */
function modelOf(directory: string): Map<string, { field: string; isSettled: boolean }> {
  const model = new Map<string, { field: string; isSettled: boolean }>()
  for (const name of segmentsIn(directory)) {
    const lines = fs.readFileSync(path.join(directory, name), 'latin1').split('\n')
    for (const line of lines.slice(0, -1)) {
      const [kind = '', id = '', text = ''] = line.split(' ')
      const field = JSON.parse(`"${text.replace(/\\x/g, '\\u00')}"`) as string
      const known = model.get(id)
      if (kind === '+') model.set(id, { field, isSettled: false })
      else if (known !== undefined) known.isSettled = true
    }
  }
  return model
}

test('an entry is durable when it is added, and the next fsync covers the line that settles it', async () => {
  const directory = makeDirectory({ quick: true })
  const ledger = await open(directory)
  const calls: string[] = []
  const { fdatasync, write } = fs
  Object.assign(fs, {
    fdatasync: (descriptor: number, callback: fs.NoParamCallback) => {
      calls.push('sync')
      fdatasync(descriptor, callback)
    },
    write: (...args: unknown[]) => {
      calls.push(String(args[1])[0] ?? '')
      Reflect.apply(write, fs, args)
    },
  })
  try {
    const first = await ledger.add('a', ['x'])
    expect(calls).toEqual(['+', 'sync'])
    await ledger.settle(first)
    expect(calls).toEqual(['+', 'sync', '='])
    await ledger.add('b', ['y'])
    expect(calls).toEqual(['+', 'sync', '=', '+', 'sync'])
    // Many at once share both calls.
    calls.length = 0
    await Promise.all(Array.from({ length: 100 }, (_, at) => ledger.add(`c:${at}`, ['z'])))
    expect(calls).toEqual(['+', 'sync'])
  } finally {
    Object.assign(fs, { fdatasync, write })
  }
  await ledger.close()
})

test('after a failed write or fsync it is broken, and opened again it has what the files have', async () => {
  for (const call of ['write', 'fdatasync'] as const) {
    const directory = makeDirectory({ quick: true })
    const ledger = await open(directory)
    await ledger.add('a', ['x'])
    const real = fs[call]
    const failing = (...args: unknown[]): void => {
      const error = Object.assign(new Error('ENOSPC: no space left'), {
        code: 'ENOSPC',
        errno: -28,
        syscall: call,
      })
      ;(args.at(-1) as (error: Error) => void)(error)
    }
    Object.assign(fs, { [call]: failing })
    await expect(ledger.add('b', ['y'])).rejects.toMatchObject({ code: 'ERR_FSQ_DISK_FULL' })
    Object.assign(fs, { [call]: real })
    expect(ledger.failure).toBeDefined()
    await expect(ledger.add('c', ['y'])).rejects.toMatchObject({ code: 'ERR_FSQ_DISK_FULL' })
    await ledger.close()
    const again = await open(directory)
    expect(await again.find('a')).toBeDefined()
    expect(await again.find('c')).toBeUndefined()
    await again.add('c', ['z'])
    await again.close()
  }
})

test('a segment whose last line is older than the time to keep is removed, at most two at a time', async () => {
  const directory = makeDirectory({ quick: true })
  const day = 24 * HOUR
  const now = Date.now()
  const names = [10, 9, 8, 7, 5, 3, 1].map((days) => {
    const name = `ledger-${new Date(now - days * day).toISOString().replace(/[-:]/g, '')}`
    fs.writeFileSync(path.join(directory, name), `+ from:${days} x\n= from:${days}\n`)
    return name
  })
  const prune = async (): Promise<string[]> => {
    const ledger = await open(directory, { keep: 4 * day, fullSegment: 1 })
    await ledger.add('new', ['x'])
    await ledger.close()
    return segmentsIn(directory)
  }
  expect((await prune()).slice(0, 5)).toEqual(names.slice(2))
  expect((await prune()).slice(0, 3)).toEqual(names.slice(4))
  // That of five days ago has lines of up to three days ago, when the next one began.
  expect((await prune()).slice(0, 3)).toEqual(names.slice(4))
  const ledger = await open(directory)
  expect(await ledger.find('from:7')).toBeUndefined()
  expect(await ledger.find('from:5')).toMatchObject({ isSettled: true })
  await ledger.close()
})

test('a clock that is set back brings no segment out of order', async () => {
  const directory = makeDirectory({ quick: true })
  const ahead = `ledger-${new Date(Date.now() + 24 * HOUR).toISOString().replace(/[-:]/g, '')}`
  fs.writeFileSync(path.join(directory, ahead), '+ a x\n')
  const ledger = await open(directory, { fullSegment: 1 })
  await ledger.add('a', ['y'])
  await ledger.close()
  const again = await open(directory)
  expect(await again.find('a')).toMatchObject({ fields: ['y'] })
  await again.close()
})

const steps = fc.array(
  fc.record({
    passed: fc.integer({ min: 1, max: 30 }),
    ahead: fc.constantFrom(-1, 0, 1),
    reopens: fc.boolean(),
  }),
  { minLength: 1, maxLength: 40 },
)

test('clocks that are set by an hour make it forget an entry at most the size of the step early', async () => {
  const clock = jest.spyOn(Date, 'now')
  try {
    await fc.assert(
      fc.asyncProperty(steps, async (all) => {
        const directory = makeDirectory({ quick: true })
        let ledger = await open(directory, { fullSegment: 1 })
        let truly = 1_700_000_000_000
        const addedAt: number[] = []
        for (const { passed, ahead, reopens } of all) {
          truly += passed * HOUR
          clock.mockReturnValue(truly + ahead * HOUR)
          if (reopens) {
            await ledger.close()
            ledger = await open(directory, { fullSegment: 1 })
          }
          await ledger.add(`a:${addedAt.length}`, ['x'])
          addedAt.push(truly)
          for (const [at, time] of addedAt.entries())
            if (truly - time < (96 - 2) * HOUR) expect(await ledger.find(`a:${at}`)).toBeDefined()
        }
        await ledger.close()
      }),
      { numRuns: 50 },
    )
  } finally {
    clock.mockRestore()
  }
})

test('a million entries take at most 24 bytes of memory each', () => {
  const table = new LedgerTable()
  for (let at = 0; at < 1_000_000; at++) {
    table.add(hashOf(`${at}:1764228600000000000`), at * 100)
    if (at >= 1000 && at % 9973 === 0) expect(table.bytes / table.size).toBeLessThan(24)
  }
  expect(table.bytes / table.size).toBeLessThan(24)
  for (let at = 0; at < 1_000_000; at += 1001)
    expect(table.positions(hashOf(`${at}:1764228600000000000`))).toContain(at * 100)
})

test('a process whose last turn is long ago reads all segments that others have begun since', async () => {
  const directory = makeDirectory({ quick: true })
  const one = await open(directory, { fullSegment: 1 })
  const two = await open(directory, { fullSegment: 1 })
  for (let at = 0; at < 6; at++) await one.settle(await one.add(`a:${at}`, ['name']))
  expect(segmentsIn(directory).length).toBeGreaterThan(4)
  await two.refresh()
  for (let at = 0; at < 6; at++)
    expect(await two.find(`a:${at}`)).toMatchObject({ fields: ['name'], isSettled: true })
  await one.close()
  await two.close()
})
