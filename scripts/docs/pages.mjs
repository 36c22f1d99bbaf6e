import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'

export const ROOT = resolve(import.meta.dirname, '../..')
const FOLDERS = ['.', 'bench', 'docs', 'examples', 'prebuilds', 'targets', 'test/vectors']

/** The Markdown pages of the project. */
export function pages() {
  return FOLDERS.flatMap((folder) =>
    readdirSync(join(ROOT, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => join(ROOT, folder, name)),
  )
}
