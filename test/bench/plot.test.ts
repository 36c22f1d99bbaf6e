// The plots of the benchmark: what they show of its results. Drawing needs vega, which `npm run bench:peers` installs.
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { expect, test } from '@jest/globals'

import { figuresOf } from '../../bench/lib/figures.mjs'
import { ratioOf } from '../../bench/lib/statistics.mjs'
import { makeDirectory } from '../support/child.js'
import { given } from '../support/needs.js'
import { run } from '../support/queue.js'

const pathOf = (name: string): string => fileURLToPath(new URL(`../../bench/${name}`, import.meta.url))
const withVega = given(existsSync(pathOf('node_modules/vega'))).test

/** As much of a figure as is checked here. */
interface Figure {
  readonly name: string
  readonly groups: { readonly title: string; readonly rows: Row[] }[]
}
interface Row {
  readonly label: string
  readonly kind: string
  readonly median: number
  readonly isNoisy: boolean
}

/** A result as --json writes it, with one round for each of these ratios. */
function resultOf({
  ratio = [2, 2],
  type = 'ext4',
  ...more
}: {
  readonly ratio?: number[]
  readonly type?: string
  readonly [key: string]: unknown
} = {}): Record<string, unknown> {
  const references = [{ name: 'floor', ratio: ratioOf(ratio, [1, 1, 1, 1, 1, 1, 1]) }]
  return {
    date: '2026-01-02T03:04:05.678Z',
    quick: false,
    rounds: ratio.length,
    machine: { kernel: 'Linux 6', node: 'v20', cpus: 2, cpu: 'any' },
    fileSystem: { type, journal: true },
    rows: [{ name: 'enqueue awaited', size: 64, durability: 'none', references }],
    ...more,
  }
}

test('each ratio has a row in one picture, and what a later file says replaces what an earlier one does', () => {
  const large = { name: 'large bytes, awaited', size: 2 ** 20, durability: 'enqueue' }
  const references = [{ name: 'writeFile, rename', ratio: ratioOf([1, 2, 3], [1, 1, 1]) }]
  const figures: Figure[] = figuresOf([
    resultOf({ ratio: [9, 9] }),
    resultOf({
      ratio: [0.5, 0.5],
      'event loop delay': { forms: [{ name: 'drain', ratio: ratioOf([4], [1]) }] },
    }),
    resultOf({ rows: [{ ...large, references }] }),
  ])
  const shown = figures.map(({ name, groups }) => [
    name,
    ...groups.map(({ title, rows }) => [
      title,
      ...rows.map(({ label, kind, median }) => [label, kind, median]),
    ]),
  ])
  expect(shown).toEqual([
    ['large', ['large bytes, against writeFile, rename', ['awaited, 1 MiB, durable', 'node:fs', 2]]],
    ['adding', ['enqueue awaited, not durable', ['floor', 'the floor', 0.5]]],
    // Less delay is better, so the picture has it the other way round.
    ['taking', ['delay of the event loop (p99), against fs/promises', ['drain', 'node:fs', 0.25]]],
  ])
})

test('a ratio is noisy if it spreads by more than a quarter of its median; of five rounds and more, one at either end does not count', () => {
  const isNoisy = (ratio: number[]): unknown => {
    const [figure]: Figure[] = figuresOf([resultOf({ ratio })])
    return figure?.groups[0]?.rows[0]?.isNoisy
  }
  expect(isNoisy([1, 1.2])).toBe(false)
  expect(isNoisy([1, 1.4])).toBe(true)
  expect(isNoisy([9, 1, 1.1, 1, 0.1])).toBe(false)
  expect(isNoisy([1, 1.4, 1, 1, 1.4])).toBe(true)
})

test('refuses what is no result, a quick one, and results of different file systems', () => {
  const drawing =
    (...results: unknown[]) =>
    (): unknown =>
      figuresOf(results)
  expect(drawing({})).toThrow('no result that the benchmark has written')
  expect(drawing(null)).toThrow('no result that the benchmark has written')
  expect(drawing(resultOf({ quick: true }))).toThrow('--quick')
  expect(drawing(resultOf(), resultOf({ type: 'tmpfs' }))).toThrow(/several places: ext4, .*; tmpfs, /)
})

test('the command names a file that it cannot read, and what it needs', async () => {
  const folder = makeDirectory({ quick: true })
  const file = join(folder, 'half.json')
  writeFileSync(file, '{ "rows": [')
  const plot = async (...args: string[]): Promise<[number | null, string]> => {
    const { code, stderr } = await run(process.execPath, [pathOf('plot.mjs'), ...args])
    return [code, stderr]
  }
  expect(await plot('--out', join(folder, 'x'), file)).toEqual([1, expect.stringContaining(file)])
  expect(await plot(file)).toEqual([1, expect.stringContaining('--out PREFIX')])
  expect(readdirSync(folder)).toEqual(['half.json'])
})

withVega('draws a picture', async () => {
  const folder = makeDirectory({ quick: true })
  const file = join(folder, 'result.json')
  writeFileSync(file, JSON.stringify(resultOf({ ratio: [0.5, 0.5] })))
  const { code, stdout } = await run(process.execPath, [
    pathOf('plot.mjs'),
    '--out',
    join(folder, 'img', 'a'),
    file,
  ])
  const picture = join(folder, 'img', 'a-adding.svg')
  expect([code, stdout]).toEqual([0, `${picture}\n`])
  const svg = readFileSync(picture, 'utf8')
  expect(svg).toMatch(/^<svg [^]*<\/svg>\n$/)
  expect(svg).toContain('enqueue awaited, not durable')
  expect(svg).toContain('0.50 (0.50-0.50)')
})
