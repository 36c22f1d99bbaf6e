// The help, the manual and the completion agree.
import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { describe, expect, test } from '@jest/globals'

import { useCommandBed } from '../support/command.js'
import { given } from '../support/needs.js'

const PACKAGE = fileURLToPath(new URL('../..', import.meta.url))
const MAIN = path.join(PACKAGE, 'dist/command/cli/main.js')
const COMPLETION = path.join(PACKAGE, 'completions/fsq.bash')
const MANUAL = path.join(PACKAGE, 'man')
// man(1) judges the manual pages.
const ifMan = given(spawnSync('sh', ['-c', 'man --version && groff --version']).status === 0)
// The completion is for bash, and runs in it.
const ifBash = given(spawnSync('bash', ['--version']).status === 0)

const bed = useCommandBed()

function fsq(...args: string[]): string {
  return execFileSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' })
}

function complete(...words: string[]): string[] {
  const script = `. '${COMPLETION}'; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _fsq 2>/dev/null; printf '%s\\n' "\${COMPREPLY[@]}"`
  const env = { ...process.env, FSQ_ROOT: bed.root }
  return execFileSync('bash', ['-c', script, 'bash', ...words], { encoding: 'utf8', env })
    .trim()
    .split('\n')
    .sort()
}

const commands = fsq('-l')
  .split('\n')
  .map((line) => line.split(' ')[0] ?? '')
  .filter((name) => name !== '')
const longOptions = (help: string): string[] =>
  [...help.matchAll(/(?<=[ ,])--[a-z][a-z-]*/g)].map(([option]) => option)
interface CommandModule {
  readonly help: string
  readonly options: Readonly<Record<string, { readonly short?: string; readonly value?: string }>>
}
const moduleOf = (command: string): CommandModule =>
  createRequire(MAIN)(`./commands/${command}.js`) as CommandModule
/** The options that a command reads. That of one letter is an old one that `fsq up` ignores. */
const optionsOf = (command: string): [name: string, option: { short?: string; value?: string }][] =>
  Object.entries({ ...moduleOf(command).options, help: { short: 'h' } }).filter(([name]) => name.length > 1)
const page = (name: string): string => fs.readFileSync(path.join(MANUAL, name), 'utf8').replaceAll('\\-', '-')

describe.each(commands)('%s', (command) => {
  test('has all its options in the manual and in the completion', () => {
    const help = fsq(command, '--help')
    const completion = fs.readFileSync(COMPLETION, 'utf8')
    for (const option of longOptions(help)) {
      expect(page(`fsq-${command}.1`)).toContain(option)
      expect(completion).toContain(option)
    }
    for (const [option] of help.matchAll(/(?<=^ *|, )-[A-Za-z0-9](?=, --)/gm))
      expect(page(`fsq-${command}.1`)).toContain(option)
  })
})

test.each(commands)('%s has all that it reads in its help', (command) => {
  const { help } = moduleOf(command)
  for (const [name, { short, value }] of optionsOf(command)) {
    expect(help).toMatch(new RegExp(`(?<=[ ,])--${name}${value === undefined ? '(?![a-z=-])' : '='}`))
    if (short !== undefined) expect(help).toMatch(new RegExp(`(?<=[ ,])-${short}(?=[ ,])`))
  }
})

ifBash.test('the completion has the options of each command, and no other (needs bash)', () => {
  const script = `. '${COMPLETION}'; for command; do echo $(_fsq_options "$command"); done`
  const lines = execFileSync('bash', ['-c', script, 'bash', ...commands], { encoding: 'utf8' }).split('\n')
  const read = commands.map((command) =>
    optionsOf(command).map(([name, { value }]) => `--${name}${value === undefined ? '' : '='}`),
  )
  expect(commands.map((_command, at) => lines[at]?.split(' ').sort())).toEqual(
    read.map((names) => names.sort()),
  )
})

test.each(['', ...commands])(
  'fsq %s --help is one screen, of 24 lines and 80 columns, with an example',
  (command) => {
    const lines = fsq(...command.split(' ').filter((word) => word !== ''), '-h')
      .trimEnd()
      .split('\n')
    expect(lines.length).toBeLessThanOrEqual(24)
    expect(lines.filter((line) => line.length > 80)).toEqual([])
    expect(lines.some((line) => /^Examples?:$/.test(line))).toBe(true)
  },
)

test('the help has all commands', () => {
  for (const command of commands) expect(fsq('-h')).toMatch(new RegExp(`^  .*\\b${command}\\b`, 'm'))
})

test('the manual is listed in the package, and has each command', () => {
  const { man } = JSON.parse(fs.readFileSync(path.join(PACKAGE, 'package.json'), 'utf8')) as { man: string[] }
  const pages = fs.readdirSync(MANUAL)
  expect(man.map((file) => path.basename(file)).sort()).toEqual([...pages].sort())
  expect(pages).toEqual(
    expect.arrayContaining(['fsq.1', 'fsq.7', ...commands.map((command) => `fsq-${command}.1`)]),
  )
  for (const command of commands) expect(page('fsq.1')).toContain(`fsq-${command} (1)`)
  for (const option of longOptions(fsq('-h'))) expect(page('fsq.1')).toContain(option)
})
ifMan.test.each(fs.readdirSync(MANUAL))('%s is clean (needs man and groff)', (name) => {
  const env = { ...process.env, LC_ALL: 'C.UTF-8', MANWIDTH: '80' }
  const { status, stderr } = spawnSync(
    'man',
    ['--warnings', '-E', 'UTF-8', '-l', '-Tutf8', '-Z', path.join(MANUAL, name)],
    { env, encoding: 'utf8' },
  )
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
})
ifBash.test('completion knows commands, options and queues (needs bash)', async () => {
  expect(
    (
      await bed.sh(
        'fsq install mail mall other; mkdir "$FSQ_ROOT"/.fsq-abcdef; mkdir "$FSQ_ROOT"/.fsq-abcdef/queue',
      )
    ).code,
  ).toBe(0)
  expect(complete('fsq', '')).toEqual([...commands, 'help'].sort())
  expect(complete('fsq', 'help', '')).toEqual([...commands].sort())
  expect(complete('fsq', 'help', 's')).toEqual(['scan', 'show', 'stats'])
  expect(complete('fsq', 's')).toEqual(['scan', 'show', 'stats'])
  expect(complete('fsq', '--ro')).toEqual(['--root-dir='])
  expect(complete('fsq', 'scan', '--no')).toEqual(['--no-done', '--no-env', '--no-lock', '--no-open'])
  expect(complete('fsq', 'scan', 'ma')).toEqual(['mail', 'mall'])
  expect(complete('fsq', '-r', bed.root, 'down', '')).toEqual(['mail', 'mall', 'other'])
  // As bash splits --root-dir=PATH.
  for (const root of [
    ['--root-dir', '=', bed.root],
    ['--root-dir', bed.root],
    [`-r${bed.root}`],
    ['-lr', bed.root],
  ])
    expect(complete('fsq', '-r', '/nonexistent', ...root, 'down', 'ma')).toEqual(['mail', 'mall'])
  expect(complete('fsq', 'scan', '--jobs', '=', '4', '-r', '5', 'ma')).toEqual(['mail', 'mall'])
  expect(complete('fsq', 'list', '--state', '=', 'fa')).toEqual(['failed'])
  expect(complete('fsq', 'list', '-s', '')).toEqual(['all', 'done', 'failed', 'waiting'])
  expect(complete('fsq', 'list', 'mail', '--j')).toEqual(['--json'])
  expect(complete('fsq', 'scan', 'mail', 'ls', '--j')).toEqual([''])
  const id = '_20120710213904_0_1_h_0_a'
  await bed.sh(`fsq install -a h1 -a h2 hosted; : > "$FSQ_ROOT/hosted/hosts/h1/queue/${id}"`)
  // As bash splits https://edge:pass@x:8181.
  const url = ['https', ':', '//edge', ':', 'pass', '@', 'x', ':', '8181']
  expect(complete('fsq', 'push', ...url, 'ho')).toEqual(['hosted'])
  expect(complete('fsq', 'push', ...url, 'hosted', 'mail', '')).toEqual(['h1', 'h2'])
  expect(complete('fsq', 'push', ...url, 'hosted', 'mail', 'h1', '')).toEqual([id])
  expect(complete('fsq', 'push', ...url.slice(0, -1), '')).toEqual([''])
  expect(complete('fsq', 'forward', '--to', '=', ...url, 'ho')).toEqual(['hosted'])
  expect(complete('fsq', 'receive', '--from', ...url, 'ho')).toEqual(['hosted'])
})

ifBash.test('completion knows items, and quotes (needs bash)', async () => {
  await bed.sh(
    "fsq install mail 'a b'; fsq enqueue -e mail 'x y'; fsq scan mail false; fsq enqueue -e mail z",
  )
  const [failed = '', waiting = ''] = ['fail', 'queue'].map((place) => path.basename(bed.only('mail', place)))
  const quoted = failed.replace(' ', '\\ ')
  expect(complete('fsq', 'down', 'a')).toEqual(['a\\ b'])
  expect(complete('fsq', 'retry', 'mail', '')).toEqual([quoted])
  expect(complete('fsq', 'show', 'mail', '').sort()).toEqual([quoted, waiting].sort())
})
