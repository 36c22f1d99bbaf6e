/** Draws a figure with vega, which is installed by `npm run bench:peers` only. */

const WIDTH = 900
const LABELS = 255
const NUMBERS = 175
const TOP = 124
const BOTTOM = 30
const KEY = 125
const KEY_Y = 72 - TOP
const PLOT = WIDTH - LABELS - NUMBERS
const LINE = 19
const GAP = 9
const FONT = 'system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif'
/** Own colours for background and text, so that the page may be light or dark. */
const COLOURS = {
  background: '#ffffff',
  text: '#24292f',
  faint: '#57606a',
  grid: '#d8dee4',
  band: '#f2f4f7',
  one: '#24292f',
}
/** For each kind of contender, in a palette for the colour-blind (Okabe and Ito), and with a shape of its own. */
const KINDS = {
  'the floor': { colour: '#24292f', shape: 'diamond' },
  'node:fs': { colour: '#0072b2', shape: 'square' },
  'other packages': { colour: '#d55e00', shape: 'circle' },
  'fsq itself': { colour: '#009e73', shape: 'triangle-up' },
}
const DIGITS = [1, 2, 5]

/** The figure as SVG. */
export async function draw(figure) {
  const { parse, View } = await import('vega')
  const view = new View(parse(specificationOf(figure)), { renderer: 'none' })
  const svg = await view.toSVG()
  view.finalize()
  return svg
}

function specificationOf({ title, subtitle, groups }) {
  const { lines, height } = layOut(groups)
  const rows = lines.filter(({ kind }) => kind !== undefined)
  const domain = domainOf(rows)
  const ticks = ticksOf(domain)
  const kinds = Object.keys(KINDS).filter((kind) => rows.some((row) => row.kind === kind))
  const axis = {
    scale: 'x',
    values: ticks,
    format: '~g',
    domain: false,
    tickColor: COLOURS.grid,
    labelColor: COLOURS.faint,
    labelFont: FONT,
    labelFontSize: 12,
  }
  return {
    $schema: 'https://vega.github.io/schema/vega/v6.json',
    description: `${title}. ${subtitle}`,
    width: PLOT,
    height,
    padding: { left: LABELS, right: NUMBERS, top: TOP, bottom: BOTTOM },
    autosize: 'none',
    background: COLOURS.background,
    data: [
      { name: 'titles', values: lines.filter(({ kind }) => kind === undefined) },
      { name: 'rows', values: rows },
      { name: 'kinds', values: kinds.map((kind, index) => ({ kind, x: 12 - LABELS + index * KEY })) },
    ],
    scales: [
      { name: 'x', type: 'log', domain, range: 'width', clamp: true },
      ordinal('colour', kinds),
      ordinal('shape', kinds),
    ],
    axes: [
      { ...axis, orient: 'top', grid: true, gridColor: COLOURS.grid },
      { ...axis, orient: 'bottom' },
    ],
    marks: [
      text({ x: 12 - LABELS, y: 24 - TOP, value: title, size: 16, bold: true }),
      text({ x: 12 - LABELS, y: 46 - TOP, value: subtitle, size: 12, colour: COLOURS.faint }),
      text({
        x: 24 - LABELS + kinds.length * KEY,
        y: KEY_Y,
        value: 'hollow: the ratio spreads by more than 25 %',
        size: 12,
        colour: COLOURS.faint,
      }),
      legendSymbols(),
      legendTexts(),
      text({ x: { scale: 'x', value: 1 }, y: -28, value: '← fsq is slower', offset: -8, align: 'right' }),
      text({ x: { scale: 'x', value: 1 }, y: -28, value: 'fsq is faster →', offset: 8 }),
      text({ x: PLOT + 12, y: -28, value: 'median (least-greatest)' }),
      {
        type: 'rule',
        encode: {
          enter: {
            x: { scale: 'x', value: 1 },
            y: { value: 0 },
            y2: { value: height },
            stroke: { value: COLOURS.one },
          },
        },
      },
      bands(),
      fields('titles', { x: 12 - LABELS, field: 'title', bold: true }),
      fields('rows', { x: 24 - LABELS, field: 'label' }),
      fields('rows', { x: PLOT + 12, field: 'text' }),
      {
        type: 'rule',
        from: { data: 'rows' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'min' },
            x2: { scale: 'x', field: 'max' },
            y: { field: 'y' },
            stroke: { scale: 'colour', field: 'kind' },
            strokeWidth: { value: 2 },
            strokeOpacity: { value: 0.55 },
          },
        },
      },
      {
        type: 'symbol',
        from: { data: 'rows' },
        encode: {
          enter: {
            x: { scale: 'x', field: 'median' },
            y: { field: 'y' },
            shape: { scale: 'shape', field: 'kind' },
            size: { value: 62 },
            stroke: { scale: 'colour', field: 'kind' },
            strokeWidth: { value: 1.5 },
            fill: [
              { test: 'datum.isNoisy', value: COLOURS.background },
              { scale: 'colour', field: 'kind' },
            ],
          },
        },
      },
    ],
  }
}

/** A line for each title and each row, with its `y`. */
function layOut(groups) {
  const lines = []
  let y = LINE / 2
  for (const { title, rows } of groups) {
    for (const line of [{ title }, ...rows]) {
      lines.push({ ...line, y })
      y += LINE
    }
    y += GAP
  }
  return { lines, height: y - GAP }
}

/** With some room on both sides, and never without 1. */
function domainOf(rows) {
  const least = Math.min(0.5, ...rows.map(({ min }) => min))
  const greatest = Math.max(2, ...rows.map(({ max }) => max))
  return [least / 1.1, greatest * 1.1]
}

function ticksOf([least, greatest]) {
  const ticks = []
  for (let decade = Math.floor(Math.log10(least)); 10 ** decade <= greatest; decade++) {
    for (const digit of DIGITS) ticks.push(Number(`${digit}e${decade}`))
  }
  return ticks.filter((tick) => tick >= least && tick <= greatest)
}

function ordinal(name, kinds) {
  return { name, type: 'ordinal', domain: kinds, range: kinds.map((kind) => KINDS[kind][name]) }
}

function text({ x, y, value, offset = 0, align = 'left', colour = COLOURS.text, size = 12, bold = false }) {
  return {
    type: 'text',
    encode: {
      enter: {
        x: typeof x === 'number' ? { value: x } : { ...x, offset },
        y: { value: y },
        text: { value },
        align: { value: align },
        ...lettering({ colour, size, bold }),
      },
    },
  }
}

function fields(data, { x, field, bold = false }) {
  return {
    type: 'text',
    from: { data },
    encode: {
      enter: {
        x: { value: x },
        y: { field: 'y' },
        text: { field },
        ...lettering({ colour: COLOURS.text, size: 13, bold }),
      },
    },
  }
}

/** Behind the titles, over the lines of the grid. */
function bands() {
  return {
    type: 'rect',
    from: { data: 'titles' },
    encode: {
      enter: {
        x: { value: 6 - LABELS },
        x2: { value: PLOT + NUMBERS - 6 },
        y: { field: 'y', offset: -LINE / 2 },
        height: { value: LINE },
        fill: { value: COLOURS.band },
      },
    },
  }
}

function lettering({ colour, size, bold }) {
  return {
    baseline: { value: 'middle' },
    font: { value: FONT },
    fontSize: { value: size },
    fontWeight: { value: bold ? 'bold' : 'normal' },
    fill: { value: colour },
  }
}

function legendSymbols() {
  return {
    type: 'symbol',
    from: { data: 'kinds' },
    encode: {
      enter: {
        x: { field: 'x', offset: 2 },
        y: { value: KEY_Y },
        shape: { scale: 'shape', field: 'kind' },
        size: { value: 62 },
        fill: { scale: 'colour', field: 'kind' },
      },
    },
  }
}

function legendTexts() {
  return {
    type: 'text',
    from: { data: 'kinds' },
    encode: {
      enter: {
        x: { field: 'x', offset: 14 },
        y: { value: KEY_Y },
        text: { field: 'kind' },
        ...lettering({ colour: COLOURS.text, size: 12, bold: false }),
      },
    },
  }
}
