import fs from 'node:fs'

import { describe, expect, test } from '@jest/globals'

import { useCommandBed } from '../support/command.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { ifRoot, onLinux } from '../support/needs.js'

const bed = useCommandBed()
const PARTS = ['.', 'done', 'fail', 'queue', 'tmp']

describe('install', () => {
  test('makes queues', async () => {
    const { code, stdout, stderr } = await bed.sh('fsq install q q2 ü')
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(PARTS.map((part) => bed.mode('q', part))).toEqual(PARTS.map(() => '2770'))
    expect(fs.readdirSync(bed.root).sort()).toEqual(['q', 'q2', 'ü'])
  })

  test('says what it does', async () => {
    const { stdout, stderr } = await bed.sh('fsq install -v q; fsq install -i --verbose q')
    expect(stdout).toBe('')
    expect(stderr).toBe(
      `fsq install: installing q to ${bed.root}\n`.repeat(2) + 'fsq install: skipping q; already installed\n',
    )
  })

  test('one that exists is an error; those before it are there, those after it not', async () => {
    const { code, stderr } = await bed.sh('fsq install q; fsq install q0 q q2')
    expect(code).toBe(111)
    expect(stderr).toContain(`The queue 'q' exists in ${bed.root}`)
    expect(stderr).not.toContain('new Queue')
    expect(fs.readdirSync(bed.root).sort()).toEqual(['q', 'q0'])
  })

  test('-i leaves it, -f replaces it', async () => {
    expect((await bed.sh('fsq install q && fsq enqueue -e q a && fsq install --ignore-exists q')).code).toBe(
      0,
    )
    expect(bed.state()).toEqual({ queue: ['0_a'] })
    expect((await bed.sh('fsq install --force -d -t q')).code).toBe(0)
    expect(bed.state()).toEqual({ down: 'file', 'trigger-s': 'FIFO' })
  })

  test.each(['', '-i', '-f'])('a plain file is in the way: install %s', async (flags) => {
    const { code, stderr } = await bed.sh(`echo x > "$FSQ_ROOT/q"; fsq install ${flags} q`)
    expect(code).toBe(111)
    expect(stderr).toContain(bed.path('q'))
    expect(fs.readFileSync(bed.path('q'), 'utf8')).toBe('x\n')
  })

  test('an empty directory is in the way', async () => {
    expect((await bed.sh('mkdir "$FSQ_ROOT/q"; fsq install q')).code).toBe(0)
    expect(bed.state()).toEqual({})
  })

  test.each(["''", '.', 'a/b', '.hidden'])('a bad name: %s', async (name) => {
    const { code, stderr } = await bed.sh(`fsq install ${name}`)
    expect(code).toBe(111)
    expect(stderr).toContain('cannot be the name of a queue')
  })

  test('no root', async () => {
    const { code, stderr } = await bed.sh('FSQ_ROOT=/nonexistent fsq install q')
    expect(code).toBe(111)
    expect(stderr).toContain('/nonexistent')
  })

  test('modes, of the down file and the trigger, too', async () => {
    expect((await bed.sh('fsq install --mode=0700 --down --triggered q')).code).toBe(0)
    const parts = [...PARTS, 'down', 'trigger-s']
    expect(parts.map((part) => bed.mode('q', part))).toEqual(parts.map(() => '700'))
  })

  ifRoot('owners (needs root)', async () => {
    expect((await bed.sh('fsq install -o 12345 --group=54321 -d -t q')).code).toBe(0)
    for (const part of [...PARTS, 'down', 'trigger-s']) {
      const { uid, gid } = fs.lstatSync(bed.path('q', part))
      expect([part, uid, gid]).toEqual([part, 12345, 54321])
    }
  })

  test.each(['-o nosuchuser', '-g nosuchgroup', '-o -2', '-m abc', '-m 99', "-o ''"])(
    'bad value: %s',
    async (flags) => {
      const { code } = await bed.sh(`fsq install ${flags} q`)
      expect(code).toBe(100)
      expect(fs.readdirSync(bed.root)).toEqual([])
    },
  )

  ifRoot('a root that is not writable (gives up root)', async () => {
    const { code, stderr } = await bed.sh('fsq install q', { asNobody: true })
    expect(code).toBe(111)
    expect(stderr).toContain('EACCES')
  })
})

describe('uninstall', () => {
  test('removes a queue, also of what is done', async () => {
    const { code, stderr } = await bed.sh(
      'fsq install q q2; fsq enqueue -e q a; fsq scan q true; fsq uninstall -v q q2',
    )
    expect(code).toBe(0)
    expect(stderr).toContain(`removing ${bed.path('q')}`)
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test('not while items wait, unless forced', async () => {
    const { code, stderr } = await bed.sh('fsq install q; fsq enqueue -e q a; fsq uninstall q')
    expect(code).toBe(111)
    expect(stderr).toContain('1 item waits')
    expect(stderr).toContain('uninstall -f')
    expect(bed.state()).toEqual({ queue: ['0_a'] })
    expect((await bed.sh('fsq uninstall -f q')).code).toBe(0)
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test('one that is not there', async () => {
    const { code, stderr } = await bed.sh('fsq uninstall nosuch')
    expect(code).toBe(111)
    expect(stderr).toContain("'nosuch'")
  })
})

onLinux('on NFS the lock kind is fcntl, by itself, and flock is refused', async () => {
  const env = {
    NODE_OPTIONS: `--require "${FAULT_BUILD}"`,
    FSQ_FAULTS: 'open.fstatfs=answer:0x6969',
    FSQ_ALLOW_NETWORK: '1',
  }
  expect((await bed.sh('fsq install -m 2700 --claims=lock q', { env })).code).toBe(0)
  expect(bed.state()).toEqual({ 'lock-fcntl': 'file' })
  // Without either option its workers lock no items.
  expect((await bed.sh('fsq install -m 2700 r', { env })).code).toBe(0)
  expect(bed.state('r')).toEqual({ 'claims-rename': 'file', down: 'file' })
  const { code, stderr } = await bed.sh('fsq install --lock-kind=flock p', { env })
  expect(code).toBe(100)
  expect(stderr).toMatch(/--lock-kind is 'flock', expected 'fcntl' on nfs\. .* Leave it out/)
})
