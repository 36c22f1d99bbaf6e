import fs from 'node:fs'

import { expect, test } from '@jest/globals'

import { useCommandBed } from '../support/command.js'
import { ifRoot } from '../support/needs.js'

const bed = useCommandBed()

test('a queue goes down and comes up, and each may be said twice', async () => {
  const first = await bed.sh('fsq install q; fsq down -v q && fsq down q')
  expect(first).toEqual({ code: 0, stdout: '', stderr: 'fsq down: q: down\n' })
  expect(bed.state()).toEqual({ down: 'file' })
  expect([bed.mode('q', 'down'), fs.statSync(bed.path('q', 'down')).size]).toEqual(['640', 0])
  const second = await bed.sh('fsq up --verbose q && fsq up -d x q')
  expect(second).toEqual({ code: 0, stdout: '', stderr: 'fsq up: q: up\n' })
  expect(bed.state()).toEqual({})
})

test('no queue is none too few, but a message tells', async () => {
  const { code, stdout, stderr } = await bed.sh('fsq down && fsq up')
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
  expect(stderr).toBe(
    'fsq down: no queue is named: nothing is done\nfsq up: no queue is named: nothing is done\n',
  )
})

test('one that is missing is an error; those after it stay as they are', async () => {
  const { code, stderr } = await bed.sh('fsq install q q2; fsq down q nosuch q2')
  expect(code).toBe(111)
  expect(stderr).toContain(`There is no queue 'nosuch' in ${bed.root}`)
  expect(stderr).toContain("'fsq install'")
  expect([bed.state('q'), bed.state('q2')]).toEqual([{ down: 'file' }, {}])
  expect((await bed.sh('fsq up nosuch q')).code).toBe(111)
  expect(bed.state('q')).toEqual({ down: 'file' })
})

test.each(['down a/b', 'up a/b', 'down -u nosuch q', 'down -g nosuch q'])('%s', async (args) => {
  expect((await bed.sh(`fsq install q; fsq ${args}`)).code).toBe(111)
  expect(bed.state()).toEqual({})
})

test.each(['down -x q', 'down -m abc q', 'down -u -2 q', 'up -x q'])('bad usage: %s', async (args) => {
  expect((await bed.sh(`fsq install q; fsq ${args}`)).code).toBe(100)
  expect(bed.state()).toEqual({})
})

test('mode', async () => {
  expect((await bed.sh('fsq install q; fsq down -m 0600 q')).code).toBe(0)
  expect(bed.mode('q', 'down')).toBe('600')
})
ifRoot('owner, and who may not (needs root)', async () => {
  expect((await bed.sh('fsq install q; fsq down -u 12345 -g 54321 q')).code).toBe(0)
  const { uid, gid } = fs.statSync(bed.path('q', 'down'))
  expect([uid, gid]).toEqual([12345, 54321])
  const denied = await bed.sh('fsq up q', { asNobody: true })
  expect(denied.code).toBe(111)
  expect(denied.stderr).toContain('EACCES')
  expect(bed.state()).toEqual({ down: 'file' })
})
