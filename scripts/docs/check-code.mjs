// `npm run check:docs`: compiles each ```ts and ```js block of README.md and docs/ against the built package. Each
// block is a module of its own, with the same line numbers as in its page. context.d.ts declares what the prose of
// the pages assumes.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, relative, sep } from 'node:path'
import process from 'node:process'

import { run } from '../run.mjs'
import { pages, ROOT } from './pages.mjs'

const folder = join(ROOT, 'build-docs') // within the package, so that 'fsq' means the package
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder)

for (const page of pages()) {
  const name = relative(ROOT, page)
  if (name !== 'README.md' && !name.startsWith('docs')) continue
  const text = readFileSync(page, 'utf8')
  let number = 0
  for (const { 1: language = '', 2: code = '', index } of text.matchAll(
    /^```(ts|js|mjs|cjs)\n([\s\S]*?)^```$/gm,
  )) {
    const line = text.slice(0, index).split('\n').length
    const file = `${name.replaceAll(sep, '.')}.${++number}.${{ ts: 'ts', cjs: 'cjs' }[language] ?? 'mjs'}`
    const module = language === 'cjs' ? '' : '\nexport {}\n'
    writeFileSync(join(folder, file), '\n'.repeat(line) + code + module)
  }
}

const options = {
  extends: '../tsconfig.json',
  compilerOptions: {
    noEmit: true,
    incremental: false,
    tsBuildInfoFile: null,
    rootDir: '..',
    allowJs: true,
    checkJs: true,
  },
  include: ['*', '../scripts/docs/context.d.ts'],
}
writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(options))
run(process.execPath, [createRequire(import.meta.url).resolve('typescript/bin/tsc'), '--project', folder])
