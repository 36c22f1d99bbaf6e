// Builds dist/ from src/, incrementally, and removes files whose source no longer exists.
//
// The library is bundled into two ES modules and a shared one (and its testing helpers, fsq/nats and fsq/remote into one each, above them): forty modules took twice as long to load. The command
// is built separately, together with the parts of the library that it uses, as CommonJS modules: these load in less
// than half the time, and a command is loaded every time it runs.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import process from 'node:process'

import { build } from 'esbuild'

import { builtins } from './builtins.mjs'

process.chdir(resolve(import.meta.dirname, '..'))

const COMMAND = 'command/'
const ENTRIES = ['index', 'lock'] // of `exports` in package.json
const SHARED = 'shared'
// They use only what index.js exports, and a program loads them only if it needs them: worker-process.cjs leads to the last one.
const ABOVE = ['testing', 'nats', 'remote', 'worker-process']

const produced = /(\.d\.ts|\.js|\.js\.map)$/
for (const file of existsSync('dist') ? readdirSync('dist', { recursive: true, encoding: 'utf8' }) : []) {
  if (produced.test(file) && !isCurrent(file)) rmSync(join('dist', file))
}

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
for (const project of ['tsconfig.json', 'tsconfig.command.json']) {
  const { status } = spawnSync(process.execPath, [tsc, '--project', project], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
/** @type {import('esbuild').BuildOptions} */
const COMMON = {
  format: 'esm',
  platform: 'node',
  target: 'node20.19',
  plugins: [builtins('src', (file) => !file.startsWith('cli/'))],
  sourcemap: true,
  logLevel: 'warning',
}
/**
 * The library is beside them, from whatever folder of src/ they import it.
 *
 * @type {import('esbuild').Plugin}
 */
const FROM_INDEX = {
  name: 'from-index',
  setup({ onResolve }) {
    onResolve({ filter: /^\.{1,2}\/index\.js$/ }, () => ({ path: './index.js', external: true }))
  },
}
await bundleLibrary()
for (const name of ABOVE) await bundleAbove(name)
writeFileSync(join('dist', COMMAND, 'package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`)
// A folder with a package.json of its own does not see the package's imports.
replaceImport('addon/native.js', '#binding', '../../../binding.cjs')
replaceImport('work/processes/program.js', '#worker-process', '../../../../worker-process.cjs')
replaceImport('queue.js', '#remote', './remote.js')

function replaceImport(file, from, to) {
  const path = join('dist', COMMAND, file)
  if (!existsSync(path)) return
  const text = readFileSync(path, 'utf8')
  writeFileSync(path, text.replaceAll(`'${from}'`, `'${to}'`).replaceAll(`"${from}"`, `"${to}"`))
}

/** Whether the current sources still produce this file of dist/. */
function isCurrent(file) {
  const source = join('src', file.replace(COMMAND, '').replace(produced, '.ts'))
  if (file.startsWith(COMMAND)) return existsSync(source)
  if (file.endsWith('.d.ts')) return existsSync(source) && !file.startsWith('cli/')
  return [...ENTRIES, SHARED, ...ABOVE].includes(file.replace(produced, ''))
}

/**
 * Code that both entries use goes into a third file, so that a program with both has one copy of each class and of
 * all state.
 */
async function bundleLibrary() {
  await build({
    entryPoints: ENTRIES.map((name) => join('src', `${name}.ts`)),
    outdir: 'dist',
    chunkNames: SHARED,
    bundle: true,
    splitting: true,
    external: ['#binding', '#remote', '#worker-process'],
    ...COMMON,
  })
}

async function bundleAbove(name) {
  await build({
    entryPoints: [join('src', `${name}.ts`)],
    outdir: 'dist',
    bundle: true,
    external: ['@nats-io/*'],
    ...COMMON,
    plugins: [...COMMON.plugins, FROM_INDEX],
  })
}
