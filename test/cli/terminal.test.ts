// The output that a person at a terminal sees; Python makes the terminal.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'

import { expect, test } from '@jest/globals'

import { type Outcome, useCommandBed } from '../support/command.js'
import { given } from '../support/needs.js'

const bed = useCommandBed()
// Node itself cannot make a terminal.
const ifPython = given(spawnSync('python3', ['-c', 'import pty']).status === 0)
const CLEAR = '\r\u001b[K'
const BOLD = '\u001b[1m'

/** Runs a script on a terminal: standard output and standard error come as one. */
async function terminal(script: string, env: NodeJS.ProcessEnv = {}, input = ''): Promise<Outcome> {
  const program =
    'import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(["sh", "-c", sys.argv[1]])))'
  const quoted = script.replaceAll("'", String.raw`'\''`)
  return bed.sh(`python3 -c '${program}' '${quoted}'`, { env: { TERM: 'xterm', ...env }, input })
}

ifPython.describe('on a terminal (needs python3)', () => {
  test('titles of columns are bold, unless NO_COLOR or the terminal says no', async () => {
    await bed.sh('fsq install q')
    expect((await terminal('fsq list')).stdout).toContain(`${BOLD}QUEUE`)
    for (const [script, env] of [
      ['fsq list', { NO_COLOR: '1' }],
      ['fsq list', { TERM: 'dumb' }],
      ['fsq list --json', {}],
      ['fsq list | cat', {}],
    ] as const) {
      const { code, stdout } = await terminal(script, env)
      expect(code).toBe(0)
      expect(stdout).toMatch(/q/)
      expect(stdout).not.toContain('\u001b')
    }
  })

  test('long work shows how far it is, and leaves the line to what comes', async () => {
    await bed.sh('fsq install q')
    fs.writeFileSync(bed.bed.path('items'), '["a"]\n["b"]\n')
    const work = [
      [`fsq enqueue --batch q < "${bed.bed.path('items')}"`, 'items queued: 2'],
      ['fsq scan q false >/dev/null 2>&1; fsq retry -a q', 'items moved: 1'],
      ['fsq rm -A a q', 'items removed: 1'],
      ['fsq scan q true; fsq prune -k 0 q', `files removed from ${bed.path('q', 'done')}: 1`],
      ['touch "$FSQ_ROOT"/q/queue/junk; fsq repair', 'repairs: 1'],
    ] as const
    for (const [script, shown] of work) {
      const { code, stdout } = await terminal(script)
      expect(code).toBe(0)
      expect(stdout).toContain(`${CLEAR}${shown}`)
      expect(stdout.endsWith(CLEAR)).toBe(true)
    }
  })

  test.each([
    ['n', 111],
    ['y', 0],
  ])('repair asks before it removes, and hears %s', async (answer, code) => {
    fs.mkdirSync(bed.path('.fsq-abcdef'))
    const outcome = await terminal('fsq repair', {}, `${answer}\n`)
    expect(outcome.code).toBe(code)
    expect(outcome.stdout).toContain('remove it? [y/N] ')
    expect(fs.readdirSync(bed.root)).toEqual(code === 0 ? [] : ['.fsq-abcdef'])
  })

  test('enqueue says that it waits for contents', async () => {
    await bed.sh('fsq install q')
    const { code, stdout } = await terminal('fsq enqueue q a', {}, 'typed\n\u0004')
    expect(code).toBe(0)
    expect(stdout).toContain('Ctrl-D')
    expect(fs.readFileSync(bed.only('q', 'queue'), 'utf8')).toBe('typed\n')
  })
})

test('elsewhere there is no progress', async () => {
  await bed.sh('fsq install q')
  const { stdout, stderr } = await bed.sh('fsq enqueue --batch q; fsq prune -k 0 q; fsq rm -a q', {
    input: '["a"]',
  })
  expect({ stdout, stderr }).toEqual({ stdout: '', stderr: '' })
})

test.each([
  'list',
  'list q',
  'list --json q',
  'stats',
  'show q $ID',
  'cat q $ID',
  'audit',
  'doctor "$FSQ_ROOT"',
  '-l',
  '--help',
])('standard output that takes nothing is an error: fsq %s', async (command) => {
  await bed.sh('fsq install q; echo data | fsq enqueue q a; mkdir "$FSQ_ROOT"/q/queue/directory')
  const { code, stderr } = await bed.sh(`ID=$(ls "$FSQ_ROOT"/q/queue | head -1); fsq ${command} >/dev/full`)
  expect(code).toBe(111)
  expect(stderr).toContain('cannot write to standard output: ENOSPC')
})
