// `npm run check:links`: checks that each link of a page leads to an existing file, and each #anchor to a heading.
// Web addresses are not checked.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import process from 'node:process'

import { pages, ROOT } from './pages.mjs'

for (const page of pages()) {
  const text = withoutCode(readFileSync(page, 'utf8'))
  for (const [, target = ''] of text.matchAll(/\]\(<?([^)\s>]+)>?[^)]*\)|^\[[^\]]+\]:\s*(\S+)/gm)) {
    if (/^[a-z]+:/.test(target)) continue
    const [path = '', anchor] = target.split('#')
    const file = path === '' ? page : resolve(dirname(page), path)
    const fault = faultOf(file, anchor)
    if (!fault) continue
    console.error(`${relative(ROOT, page)}: ${target}: ${fault}`)
    process.exitCode = 1
  }
}

function faultOf(file, anchor) {
  if (!existsSync(file)) return 'the file does not exist'
  if (anchor === undefined) return undefined
  const page = statSync(file).isDirectory() ? join(file, 'README.md') : file
  return anchorsOf(readFileSync(page, 'utf8')).has(anchor) ? undefined : 'there is no such heading'
}

/** As GitHub makes them: lower case, no punctuation, hyphens for spaces, and a number if a heading is repeated. */
function anchorsOf(text) {
  const anchors = new Set()
  for (const [, heading = ''] of withoutCode(text, { blocks: true }).matchAll(/^#+ +(.+?) *$/gm)) {
    const name = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-')
    let anchor = name
    for (let number = 1; anchors.has(anchor); number++) anchor = `${name}-${number}`
    anchors.add(anchor)
  }
  return anchors
}

function withoutCode(text, { blocks = false } = {}) {
  const prose = text.replaceAll(/^```[\s\S]*?^```/gm, '')
  return blocks ? prose : prose.replaceAll(/`[^`\n]*`/g, '')
}
