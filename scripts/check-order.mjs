/** Checks that each chapter of src/ imports only from the chapters before it, and that no modules import each other in a circle. */
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import process from 'node:process'

const SOURCE = resolve(import.meta.dirname, '..', 'src')

/** The chapters, the lowest first. A file of src/ itself is a chapter of its own. CONTRIBUTING.md says what each is for. */
const CHAPTERS = [
  'errors',
  'addon',
  'cancellation.ts',
  'in-flight.ts',
  'name',
  'settings.ts',
  'options.ts',
  'directory',
  'report.ts',
  'lock',
  'item',
  'enqueue',
  'scan',
  'inspect',
  'probe',
  'queue.ts',
  'compat',
  'lock.ts',
  'index.ts',
  'cli',
]

const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
)
const imports = new Map(files.map((file) => [file, importsOf(file)]))
const problems = [...files.flatMap(outOfOrder), ...circles()]
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1

function importsOf(file) {
  const text = readFileSync(join(SOURCE, file), 'utf8')
  const specifiers = [...text.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+)\.js'/g)].map(([, path]) => path)
  return specifiers.map((path) => relative(SOURCE, resolve(SOURCE, dirname(file), `${path}.ts`)))
}

function chapterOf(file) {
  const chapter = file.split('/')[0]
  if (!CHAPTERS.includes(chapter))
    throw new Error(`src/${chapter} has no place in the order: scripts/check-order.mjs`)
  return CHAPTERS.indexOf(chapter)
}

function outOfOrder(file) {
  return imports
    .get(file)
    .filter((imported) => chapterOf(imported) > chapterOf(file))
    .map((imported) => `src/${file} imports src/${imported}, of a chapter above its own`)
}

/** One line a circle. Types count: who reads one module has to read the other. */
function circles() {
  const found = new Set()
  const done = new Set()
  const visit = (file, path) => {
    const start = path.indexOf(file)
    if (start >= 0)
      found.add(`In a circle: ${[...path.slice(start), file].map((one) => `src/${one}`).join(' -> ')}`)
    if (start >= 0 || done.has(file)) return
    for (const imported of imports.get(file) ?? []) visit(imported, [...path, file])
    done.add(file)
  }
  for (const file of files) visit(file, [])
  return [...found]
}
