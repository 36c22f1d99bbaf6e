/**
 * Renders what `fsq top` shows as lines of text. Pure: the same scene in the same size gives the same lines, and none is wider than
 * the terminal, whatever the names of items are.
 *
 * @module
 */
import { printableText } from '../../name/charset.js'
import { cut, padded, widthOf, wrap } from '../width.js'
import { type Column, fit } from './columns.js'
import { clock, plural } from './figures.js'
import type { Row, Rows } from './rows.js'

/** How a part of a line stands out. */
export type Style = 'bold' | 'inverse' | 'dim' | 'red' | 'yellow'

/** Adds the escape sequences of a style to a text, or none. */
export type Paint = (style: Style, text: string) => string

/** A size in columns and lines. */
export interface Size {
  readonly width: number
  readonly height: number
}

/** What is on the screen. */
export type Scene = {
  readonly rows: Rows
  /** The key of the row that is chosen. */
  readonly chosen: string | undefined
  /** A question or a message at the foot. */
  readonly foot?: string | undefined
} & (
  | { readonly mode: 'list' }
  /** `from`: the first line that is shown. */
  | {
      readonly mode: 'text'
      readonly title: string
      readonly lines: readonly string[]
      readonly from: number
    }
)

const MARKER = '> '
const NO_MARKER = '  '

const KEYS = ['↑↓ choose', '⏎ open', 'r retry', 'd down/up', '? help', 'q quit']
const TEXT_KEYS = ['↑↓ scroll', 'esc back', 'q quit']

const QUEUE_COLUMNS: readonly Column[] = [
  { title: 'QUEUE', least: 8 },
  { title: 'WAITING', isRight: true },
  { title: 'WORKING', isRight: true, rank: 1 },
  { title: 'DELAYED', isRight: true, rank: 4 },
  { title: 'OLDEST', isRight: true, rank: 3 },
  { title: '', rank: 5 },
  { title: 'DONE/MIN', isRight: true, rank: 2 },
  { title: 'FAILED', isRight: true },
  { title: 'STATE' },
]
const WORKER_COLUMNS: readonly Column[] = [
  { title: 'WORKER', least: 10 },
  { title: 'QUEUE', least: 5, rank: 2 },
  { title: 'SINCE', isRight: true },
  { title: 'TRY', isRight: true, rank: 3 },
  { title: 'ITEM', least: 8 },
  { title: 'PROGRESS', least: 8, rank: 1 },
]
const FAILURE_COLUMNS: readonly Column[] = [
  { title: 'FAILED', isRight: true },
  { title: 'QUEUE', least: 5, rank: 1 },
  { title: 'REASON', least: 8 },
  { title: 'LAST', isRight: true, rank: 2 },
]

/** The lines of the screen, at most `height`. */
export function frame(scene: Scene, size: Size, paint: Paint): readonly string[] {
  const lines = [header(scene, size.width, paint), ...body(scene, size, paint)]
  if (scene.foot === undefined) return lines.slice(0, size.height)
  const foot = paint('yellow', cut(printableText(scene.foot), size.width))
  const room = size.height - 1
  return [...lines.slice(0, room), ...blanks(room - lines.length), foot].slice(-size.height)
}

/** Texts as lines of the screen: a text that is too wide takes several. */
export function wrapped(texts: readonly string[], width: number): readonly string[] {
  return texts.flatMap((text) => wrap(printableText(text), width))
}

function header({ rows, mode }: Scene, width: number, paint: Paint): string {
  const { root, at, queues, workers } = rows
  const left = cut(
    [
      'fsq top',
      printableText(root),
      plural(queues.length, 'queue'),
      plural(workers, 'worker'),
      clock(at),
    ].join('  '),
    width,
  )
  const hints = mode === 'list' ? KEYS : TEXT_KEYS
  for (let from = 0; from <= hints.length; from++) {
    const right = hints.slice(from).join('  ')
    const gap = width - widthOf(left) - widthOf(right)
    if (gap >= 2) return `${paint('bold', left)}${' '.repeat(gap)}${paint('dim', right)}`.trimEnd()
  }
  return paint('bold', left)
}

function body(scene: Scene, size: Size, paint: Paint): readonly string[] {
  const room = size.height - 1 - (scene.foot === undefined ? 0 : 1)
  if (scene.mode === 'text') {
    const { title, lines, from } = scene
    return [
      paint('bold', cut(printableText(title), size.width)),
      ...wrapped(lines, size.width).slice(from, from + room - 1),
    ]
  }
  const { queues, inHand, failures } = scene.rows
  const sections = [
    { columns: QUEUE_COLUMNS, rows: queues },
    { columns: WORKER_COLUMNS, rows: inHand },
    { columns: FAILURE_COLUMNS, rows: failures },
  ].filter(({ rows }) => rows.length > 0)
  if (sections.length === 0) return ['There is no queue.']
  const gaps = sections.length - 1
  const wanted = sections.map(({ rows }) => rows.length)
  const needed = wanted.reduce((sum, count) => sum + count, sections.length)
  const hasGaps = needed + gaps <= room
  const counts = share(room - sections.length - (hasGaps ? gaps : 0), wanted)
  return sections.flatMap(({ columns, rows }, index) => {
    const lines = table(columns, rows, counts[index] ?? 0, scene.chosen, size.width, paint)
    return hasGaps && index > 0 ? ['', ...lines] : lines
  })
}

/** Shares lines among sections, one each in turn, so that a long one leaves room for the others. */
function share(lines: number, wanted: readonly number[]): readonly number[] {
  const given = wanted.map(() => 0)
  let left = lines
  while (left > 0 && given.some((count, index) => count < (wanted[index] ?? 0))) {
    for (const [index, most] of wanted.entries()) {
      if (left === 0 || (given[index] ?? 0) >= most) continue
      given[index] = (given[index] ?? 0) + 1
      left--
    }
  }
  return given
}

function table(
  columns: readonly Column[],
  rows: readonly Row[],
  count: number,
  chosen: string | undefined,
  width: number,
  paint: Paint,
): readonly string[] {
  const at = rows.findIndex(({ key }) => key === chosen)
  const from = Math.max(0, Math.min(at - Math.floor(count / 2), rows.length - count))
  const shown = rows.slice(from, from + count)
  const [first, ...others] = columns
  const hidden = rows.length - shown.length
  // A hint at rows that do not fit, where it moves no column.
  const title = hidden > 0 && first !== undefined ? `${first.title} +${hidden}` : first?.title
  const { titles, lines } = fit(
    first === undefined ? [] : [{ ...first, title: title ?? '' }, ...others],
    shown.map(({ cells }) => cells.map((cell) => printableText(cell))),
    width - MARKER.length,
  )
  return [
    paint('bold', cut(NO_MARKER + titles, width)),
    ...lines.map((line, index) => {
      const row = shown[index]
      if (row?.key === chosen) return paint('inverse', padded(cut(MARKER + line, width), width))
      const text = cut(NO_MARKER + line, width)
      return row?.isBad === true ? paint('red', text) : text
    }),
  ]
}

function blanks(count: number): readonly string[] {
  return Array.from({ length: Math.max(0, count) }, () => '')
}
