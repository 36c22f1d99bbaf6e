import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

const PROJECT = path.resolve(import.meta.dirname, '../..')
let clone = ''

beforeEach(() => {
  clone = fs.mkdtempSync(path.join(os.tmpdir(), 'fsq-test-'))
  for (const part of [
    'scripts',
    'native',
    'package.json',
    'CHANGELOG.md',
    '.gitignore',
    'prebuilds/README.md',
  ]) {
    fs.cpSync(path.join(PROJECT, part), path.join(clone, part), {
      recursive: true,
      filter: (file) => !file.includes('node_modules'),
    })
  }
  const { version } = JSON.parse(fs.readFileSync(path.join(clone, 'package.json'), 'utf8')) as {
    version: string
  }
  fs.appendFileSync(path.join(clone, 'CHANGELOG.md'), `\n## [${version}] - 2026-11-24\n`)
  git('init', '--quiet')
  commit()
})
afterEach(() => fs.rmSync(clone, { recursive: true, force: true }))

function git(...args: string[]): void {
  execFileSync('git', ['-c', 'user.name=test', '-c', 'user.email=test@localhost', ...args], { cwd: clone })
}

function commit(): void {
  git('add', '--all')
  git('commit', '--quiet', '--message', 'all')
}

function release(): string {
  const { status, stderr } = spawnSync(process.execPath, [path.join(clone, 'scripts', 'release.mjs')], {
    encoding: 'utf8',
  })
  expect(status).toBe(1)
  return stderr
}

test('a tree with changes is not released', () => {
  fs.appendFileSync(path.join(clone, 'package.json'), '\n')
  expect(release()).toMatch(/^No release: these changes are not committed:\n M package\.json/)
})

test('a version without a heading in the change log is not released', () => {
  fs.writeFileSync(path.join(clone, 'CHANGELOG.md'), '# Changelog\n')
  commit()
  expect(release()).toMatch(/^No release: CHANGELOG\.md has no heading '## \[/)
})

test('missing binaries are named, and how to make them', () => {
  const errors = release()
  expect(errors).toMatch(/^No release: the prebuilt binaries are not ready:\n/)
  expect(errors.match(/is missing: npm run prebuilds -- /g)).toHaveLength(6)
})

test('a binary that is none is refused', () => {
  fs.mkdirSync(path.join(clone, 'prebuilds', 'linux-x64'))
  fs.writeFileSync(path.join(clone, 'prebuilds', 'linux-x64', 'fsq.glibc.node'), 'no library')
  expect(release()).toMatch('linux-x64-glibc: is no ELF file of 64 bits')
})
