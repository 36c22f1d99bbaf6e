// What fsq top draws, without a terminal.
import { describe, expect, test } from '@jest/globals'

import { hostLayoutOf, layoutOf } from '../../src/directory/layout.js'
import { count, moment, sparkline } from '../../src/cli/top/figures.js'
import type { QueueView, Snapshot } from '../../src/cli/top/model.js'
import { rowsOf } from '../../src/cli/top/rows.js'
import { type Paint, type Scene, frame, wrapped } from '../../src/cli/top/view.js'
import { widthOf, wrap } from '../../src/cli/width.js'
import { resolveSettings } from '../../src/settings.js'

const settings = resolveSettings({ root: '/var/fsq' })
const AT = new Date(2026, 10, 26, 12, 4, 31).getTime()
const plain: Paint = (_style, text) => text
const marked: Paint = (style, text) => `<${style}>${text}</>`
const SIZES = [
  [120, 40],
  [80, 24],
  [40, 10],
  [20, 4],
] as const

const idOf = (tries: number, ...args: string[]): string =>
  ['', '20261126120000', '0', '1', 'h', String(tries), ...args].join('_')

function queue(name: string, more: Partial<QueueView> = {}): QueueView {
  return {
    layout: layoutOf(name, settings),
    waiting: 0,
    working: 0,
    delayed: 0,
    oldestAge: undefined,
    doneByMinute: [0, 0, 0, 0, 0, 0, 0, 0],
    done: 0,
    failed: 0,
    state: 'up',
    workers: [],
    failures: [],
    ...more,
  }
}

const PICTURE: Snapshot = {
  root: '/var/fsq',
  at: AT,
  queues: [
    queue('mail', {
      waiting: 214,
      working: 8,
      delayed: 12,
      oldestAge: 41_000,
      doneByMinute: [300, 500, 800, 1204, 1204, 1000, 900, 1204],
      failed: 3,
      state: 'running',
      workers: [
        {
          id: 'web1.4711.0',
          host: 'web1',
          pid: 4711,
          state: 'running',
          items: [{ id: idOf(0, 'welcome', 'a@example.org'), key: 'a', since: new Date(AT - 2000) }],
        },
        { host: 'web1', pid: 5120, items: [{ id: idOf(0, 'reminder', 'b@example.org'), key: 'b' }] },
        { id: 'web1.4712.0', host: 'web1', pid: 4712, state: 'paused', items: [] },
      ],
      failures: [{ reason: 'ECONNREFUSED 10.0.0.7:25', items: failures(3), last: AT - 199_000 }],
    }),
    queue('ocr', {
      waiting: 2,
      working: 1,
      oldestAge: 120_000,
      failed: 17,
      state: 'down',
      workers: [
        {
          id: 'web1.4890.0',
          host: 'web1',
          pid: 4890,
          state: 'running',
          items: [
            {
              id: idOf(2, 'scan-0093.pdf'),
              key: 'c',
              since: new Date(AT - 240_000),
              progress: 'page 41 of 90',
            },
          ],
        },
      ],
      failures: [{ reason: 'Error: page too large', items: failures(14), last: AT - 33_000 }],
    }),
  ],
}

function failures(length: number): { raw: string; failedAt: number; reason: string }[] {
  return Array.from({ length }, (_, index) => ({ raw: `_${index}`, failedAt: AT, reason: '' }))
}

function draw(
  snapshot: Snapshot,
  width: number,
  height: number,
  scene: Partial<Scene> = {},
): readonly string[] {
  const rows = rowsOf(snapshot, settings)
  const all = { mode: 'list', rows, chosen: undefined, ...scene } as Scene
  return frame(all, { width, height }, plain)
}

test('at 120 columns', () => {
  expect(draw(PICTURE, 120, 40, { chosen: 'queue ocr' }).map((line) => line.trimEnd())).toEqual([
    'fsq top  /var/fsq  2 queues  4 workers  12:04:31                   ↑↓ choose  ⏎ open  r retry  d down/up  ? help  q quit',
    '  QUEUE     WAITING  WORKING  DELAYED  OLDEST            DONE/MIN  FAILED  STATE',
    '  mail          214        8       12     41s  ▃▄▆██▇▇█     1,204       3  running',
    '> ocr             2        1        0      2m  ▁▁▁▁▁▁▁▁         0      17  down',
    '',
    '  WORKER                QUEUE     SINCE  TRY  ITEM                      PROGRESS',
    '  web1:4890             ocr          4m    3  scan-0093.pdf             page 41 of 90',
    '  web1:4711             mail         2s    1  welcome a@example.org',
    '  web1:5120 (other)     mail          ?    1  reminder b@example.org',
    '  web1:4712             mail          -    -  (paused)',
    '',
    '  FAILED  QUEUE     REASON                        LAST',
    '      14  ocr       Error: page too large     12:03:58',
    '       3  mail      ECONNREFUSED 10.0.0.7:25  12:01:12',
  ])
})

test('at 40 columns and 10 lines each section has its share', () => {
  expect(draw(PICTURE, 40, 10).map((line) => line.trimEnd())).toEqual([
    'fsq top  /var/fsq  2 queues  4 workers …',
    '  QUEUE WAITING WORKING FAILED STATE',
    '  mail      214       8      3 running',
    '  ocr         2       1     17 down',
    '  WORKER +2 SINCE ITEM       PROGRESS',
    '  web1:4890    4m scan-0093… page 41 of…',
    '  web1:4711    2s welcome a…',
    '  FAILED QUEUE REASON               LAST',
    '      14 ocr   Error: page too… 12:03:58',
    '       3 mail  ECONNREFUSED 10… 12:01:12',
  ])
})

test('a host is shown below its queue, by its path', () => {
  const [mail, ocr] = PICTURE.queues
  if (mail === undefined || ocr === undefined) throw new Error('no picture')
  const hosts = ['berlin', 'paris'].map((name) =>
    queue(name, { layout: hostLayoutOf(mail.layout, name, settings), waiting: 3 }),
  )
  const snapshot = { ...PICTURE, queues: [mail, ...hosts, ocr] }
  const shown = (width: number): readonly string[] =>
    draw(snapshot, width, 24, { chosen: 'queue mail/hosts/paris' }).slice(2, 6)
  expect(shown(120).map((line) => line.slice(0, 32).trimEnd())).toEqual([
    '  mail                      214',
    '  mail/hosts/berlin           3',
    '> mail/hosts/paris            3',
    '  ocr                         2',
  ])
  expect(shown(44).every((line) => widthOf(line) <= 44)).toBe(true)
  expect(new Set(rowsOf(snapshot, settings).queues.map(({ key }) => key)).size).toBe(4)
})

describe.each(SIZES)('at %i x %i', (width, height) => {
  const many = (length: number, of: (index: number) => QueueView): Snapshot => ({
    root: '/var/fsq',
    at: AT,
    queues: Array.from({ length }, (_, index) => of(index)),
  })
  const hostile = [
    '\u001b[2J\n\r\t\u0007',
    '日本語の長い名前'.repeat(9),
    'e\u0301'.repeat(90),
    '🙂'.repeat(60),
    '\u202eabc',
  ]
  const snapshots: Record<string, Snapshot> = {
    picture: PICTURE,
    'no queue': many(0, () => queue('q')),
    'many queues': many(100, (index) => queue(`queue-${index}`)),
    hostile: {
      root: '/srv/\u001b[31m',
      at: AT,
      queues: hostile.map((text) =>
        queue('q', {
          layout: { ...layoutOf('q', settings), name: text },
          waiting: 123_456_789,
          workers: [
            {
              id: 'w.1.0',
              host: text,
              pid: 1,
              items: [{ id: idOf(0, text), key: text, since: new Date(AT), progress: { text } }],
            },
          ],
          failures: [{ reason: text, items: failures(1), last: 0 }],
        }),
      ),
    },
  }

  test.each(Object.keys(snapshots))('%s: nothing leaves the screen', (name) => {
    const snapshot = snapshots[name] ?? PICTURE
    const texts = hostile.map(
      (text) => ({ mode: 'text', title: text, lines: [text, '', text], from: 0 }) as const,
    )
    for (const scene of [{}, { foot: hostile.join('') }, { chosen: 'queue queue-99' }, ...texts]) {
      const lines = draw(snapshot, width, height, scene)
      expect(lines.length).toBeLessThanOrEqual(height)
      for (const line of lines) {
        expect(widthOf(line)).toBeLessThanOrEqual(width)
        // eslint-disable-next-line no-control-regex -- none of these characters may reach a terminal
        expect(line).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u202e]/)
      }
    }
  })

  test('the chosen row is always there', () => {
    const snapshot = many(100, (index) => queue(`queue-${index}`))
    for (const index of [0, 1, 50, 98, 99]) {
      const lines = draw(snapshot, width, height, { chosen: `queue queue-${index}` })
      expect(lines.filter((line) => line.startsWith('> '))).toEqual([
        expect.stringContaining(`> queue-${index}`),
      ])
    }
  })
})

test('a question is in the last line', () => {
  const lines = draw(PICTURE, 80, 24, { foot: 'retry 14 items of ocr? [y/N]' })
  expect(lines).toHaveLength(24)
  expect(lines.at(-1)).toBe('retry 14 items of ocr? [y/N]')
})

test('styles do not change the width of a line', () => {
  const scene = { mode: 'list', rows: rowsOf(PICTURE, settings), chosen: 'queue mail' } as const
  const size = { width: 80, height: 24 }
  const bare = frame(scene, size, marked).map((line) => line.replace(/<[a-z]+>|<\/>/g, ''))
  expect(bare).toEqual(frame(scene, size, plain))
  expect(frame(scene, size, marked)[2]).toMatch(/^<inverse>> mail .*<\/>$/)
  // A queue that is down is red.
  expect(frame(scene, size, marked)[3]).toMatch(/^<red> {2}ocr /)
})

test('a queue that cannot be read says so', () => {
  const [, , line = ''] = draw(
    { ...PICTURE, queues: [queue('q', { state: 'unreadable', error: new Error('x') })] },
    80,
    24,
  )
  expect(line.trim().split(/ +/)).toEqual(['q', '-', '-', '-', '-', '-', '-', '-', 'unreadable'])
})

test('a text is scrolled, and long lines take several', () => {
  const lines = Array.from({ length: 50 }, (_, index) => `line ${index} ${'x'.repeat(30)}`)
  const shown = draw(PICTURE, 20, 8, { mode: 'text', title: 'Title', lines, from: 4 })
  expect(shown.slice(1, 4)).toEqual(['Title', 'line 2 xxxxxxxxxxxxx', 'xxxxxxxxxxxxxxxxx'])
  expect(shown).toHaveLength(8)
  expect(wrapped(['ab\u001b'], 4)).toEqual(['ab\\x', '1b'])
  expect(wrap('日本語x', 4)).toEqual(['日本', '語x'])
})

test('figures', () => {
  expect(sparkline([0, 0, 0])).toBe('▁▁▁')
  expect(sparkline([0, 1, 50, 100])).toBe('▁▂▅█')
  expect(count(1_234_567)).toBe('1,234,567')
  expect(moment(AT - 1000, AT)).toBe('12:04:30')
  expect(moment(AT - 2 * 86_400_000, AT)).toBe('2026-11-24')
})
