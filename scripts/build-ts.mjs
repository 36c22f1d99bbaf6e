// Builds dist/ from src/: incremental, and without files whose source is gone.
//
// The library is made of ES modules. The command is made once more, with what it uses of the library, of CommonJS modules:
// loading those takes less than half the time, and a command is loaded each time it runs.
import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import process from 'node:process'

process.chdir(resolve(import.meta.dirname, '..'))

const COMMAND = 'command/'
const produced = /(\.d\.ts|\.js|\.js\.map)$/
for (const file of existsSync('dist') ? readdirSync('dist', { recursive: true, encoding: 'utf8' }) : []) {
  const source = file.replace(COMMAND, '').replace(produced, '.ts')
  const isOfLibrary = !file.startsWith(COMMAND)
  const isStale = !existsSync(join('src', source)) || (isOfLibrary && source.startsWith('cli/'))
  if (produced.test(file) && isStale) rmSync(join('dist', file))
}

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
for (const project of ['tsconfig.json', 'tsconfig.command.json']) {
  const { status } = spawnSync(process.execPath, [tsc, '--project', project], { stdio: 'inherit' })
  if (status !== 0) process.exit(status ?? 1)
}
writeFileSync(join('dist', COMMAND, 'package.json'), `${JSON.stringify({ type: 'commonjs' })}\n`)
// With a package.json of its own, the folder has no part in the package's imports.
const seam = join('dist', COMMAND, 'native.js')
writeFileSync(
  seam,
  readFileSync(seam, 'utf8')
    .replace("'#binding'", "'../../binding.cjs'")
    .replace('"#binding"', '"../../binding.cjs"'),
)
