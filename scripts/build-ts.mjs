// Builds dist/ from src/: incremental, and without files whose source is gone.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import process from 'node:process'

process.chdir(resolve(import.meta.dirname, '..'))

const produced = /(\.d\.ts|\.js|\.js\.map)$/
for (const file of existsSync('dist') ? readdirSync('dist', { recursive: true, encoding: 'utf8' }) : []) {
  if (produced.test(file) && !existsSync(join('src', file.replace(produced, '.ts'))))
    rmSync(join('dist', file))
}

const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc')
const { status } = spawnSync(process.execPath, [tsc, '--project', 'tsconfig.json'], { stdio: 'inherit' })
process.exitCode = status ?? 1
