/**
 * Checks that each chapter of src/ imports, and each room of native/ includes, only from the ones before it, and that
 * no files depend on each other in a circle. CONTRIBUTING.md explains what each chapter and room is for.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import process from 'node:process'

/** The lowest comes first. A file directly in src/ is a chapter of its own. */
const CHAPTERS = [
  'errors',
  'shown.ts',
  'inspected.ts',
  'nearest.ts',
  'real-timers.ts',
  'socket-path.ts',
  'tracing.ts',
  'addon',
  'cancellation.ts',
  'in-flight.ts',
  'name',
  'settings.ts',
  'options.ts',
  'probe/mounts.ts',
  'probe/mount-options.ts',
  'directory',
  'report.ts',
  'lock',
  'lock.ts',
  'schema',
  'item',
  'enqueue',
  'scan',
  'probe',
  'meta/layout.ts',
  'inspect',
  'work/journal.ts',
  'meta',
  'maintain',
  'work',
  'hosts',
  'forward',
  'forward',
  'remote/types.ts',
  'queue.ts',
  'forward/forward.ts',
  'receive',
  'compat',
  'index.ts',
  'worker-process.ts',
  'testing.ts',
  'nats',
  'nats.ts',
  'remote',
  'remote.ts',
  'cli',
]

const ROOMS = [
  'names',
  'calls',
  'platform',
  'files',
  'queue',
  'waiting',
  'bindings/runtime',
  'bindings',
  'addon.cc',
]

const problems = [
  ...problemsOf('src', CHAPTERS, ['.ts'], importsOf),
  ...problemsOf('native', ROOMS, ['.cc', '.h'], includesOf),
]
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1

function importsOf(file, text) {
  const specifiers = [...text.matchAll(/\b(?:from|import)\s*\(?\s*'(\.[^']+)\.js'/g)].map(([, path]) => path)
  return specifiers.map((path) => relative('.', resolve(dirname(file), `${path}.ts`)))
}

/** The build generates the header with the hash of the sources. */
function includesOf(_file, text) {
  const paths = [...text.matchAll(/^#include "([^"]+)"/gm)].map(([, path]) => path)
  return paths.filter((path) => path !== 'source_hash.h')
}

function problemsOf(folder, chapters, extensions, usesOf) {
  const root = resolve(import.meta.dirname, '..', folder)
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) =>
    extensions.some((extension) => file.endsWith(extension)),
  )
  const uses = new Map(files.map((file) => [file, usesOf(file, readFileSync(join(root, file), 'utf8'))]))
  return [...outOfOrder(folder, chapters, uses), ...circles(folder, uses)]
}

function outOfOrder(folder, chapters, uses) {
  const chapterOf = (file) => {
    const parents = file.split('/').map((_, depth, names) => names.slice(0, names.length - depth).join('/'))
    const chapter = parents.find((path) => chapters.includes(path))
    if (!chapter) throw new Error(`${folder}/${file} has no place in the order: scripts/check-order.mjs`)
    return chapters.indexOf(chapter)
  }
  return [...uses].flatMap(([file, used]) =>
    used
      .filter((other) => chapterOf(other) > chapterOf(file))
      .map((other) => `${folder}/${file} needs ${folder}/${other}, of a part above its own`),
  )
}

/** Returns one line for each circle. Types count, because a reader of one file has to read the other. */
function circles(folder, uses) {
  const found = new Set()
  const done = new Set()
  const visit = (file, path) => {
    const start = path.indexOf(file)
    if (start >= 0)
      found.add(`In a circle: ${[...path.slice(start), file].map((one) => `${folder}/${one}`).join(' -> ')}`)
    if (start >= 0 || done.has(file)) return
    for (const other of uses.get(file) ?? []) visit(other, [...path, file])
    done.add(file)
  }
  for (const file of uses.keys()) visit(file, [])
  return [...found]
}
