import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

import { draw } from './chart.mjs'
import { figuresOf } from './figures.mjs'

/** Throws unless vega is installed. */
export function checkVega() {
  try {
    import.meta.resolve('vega')
  } catch (error) {
    throw new Error('vega, which draws the plots, is not installed: npm run bench:peers', { cause: error })
  }
}

/**
 * Draws the pictures of these results.
 *
 * @returns The paths of the files: `prefix`, a hyphen, the name of the picture, and `.svg`.
 */
export async function plot(results, prefix) {
  const figures = figuresOf(results)
  checkVega()
  mkdirSync(dirname(prefix), { recursive: true })
  const paths = []
  for (const figure of figures) {
    const path = `${prefix}-${figure.name}.svg`
    writeFileSync(path, `${await draw(figure)}\n`)
    paths.push(path)
  }
  return paths
}
