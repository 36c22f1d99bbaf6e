import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import type { Probe } from '../../src/probe/promises.js'
import { useCommandBed } from '../support/command.js'
import { FAULT_BUILD } from '../support/fault-build.js'

const bed = useCommandBed()

test('tells people what a file system can do and promises, in 80 columns, and leaves nothing', async () => {
  const { code, stdout, stderr } = await bed.sh('fsq doctor "$FSQ_ROOT"')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^WHAT +RESULT +WHY\ndirectory +\//)
  expect(stdout).toMatch(/^hard links +yes$/m)
  expect(stdout).toMatch(/^promise: claims +yes +flock locks keep others out/m)
  expect(stdout.split('\n').filter((line) => line.length > 80 && !line.includes(bed.root))).toEqual([])
  expect(fs.readdirSync(bed.root)).toEqual([])
})

test('--json is all of it', async () => {
  const { code, stdout } = await bed.sh('cd "$FSQ_ROOT" && fsq doctor --json .')
  expect(code).toBe(0)
  const found = JSON.parse(stdout) as Probe
  expect(found.path).toBe(fs.realpathSync(bed.root))
  expect(found.features.hardLinks).toEqual({ works: true })
  expect(found.promises.claims.kept).toBe('yes')
})

test('where flock does not work it names the kind of lock that does, as the command line has it', async () => {
  const env = { NODE_OPTIONS: `--require "${FAULT_BUILD}"`, FSQ_FAULTS: 'probe.flock=errno:95' }
  const { code, stdout } = await bed.sh('fsq doctor "$FSQ_ROOT"', { env })
  expect(code).toBe(0)
  expect(stdout).toMatch(/^lock kind +fcntl +install queues with --lock-kind=fcntl$/m)
  expect(stdout).not.toContain('lockKind')
})

test.each([
  ['fsq doctor', 100],
  ['fsq doctor . .', 100],
  ['fsq doctor -x .', 100],
  ["fsq doctor ''", 100],
  ['fsq doctor /nonexistent', 111],
  [`fsq doctor ${path.resolve('package.json')}`, 111],
])('%s', async (command, code) => {
  const outcome = await bed.sh(command)
  expect([outcome.code, outcome.stdout]).toEqual([code, ''])
  expect(outcome.stderr).toContain(code === 100 ? 'Usage: fsq doctor' : 'Cannot probe the directory')
})
