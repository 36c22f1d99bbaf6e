import fs from 'node:fs'
import path from 'node:path'

import { beforeEach, describe, expect, test } from '@jest/globals'

import { useCommandBed } from '../support/command.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { ifRoot, onLinux } from '../support/needs.js'

const bed = useCommandBed()

beforeEach(async () => {
  expect((await bed.sh('fsq install q')).code).toBe(0)
})

const content = (): string => fs.readFileSync(bed.only('q', 'queue'), 'utf8')

describe('the contents', () => {
  test('are standard input', async () => {
    const outcome = await bed.sh('fsq enqueue q a b', { input: 'data' })
    expect(outcome).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(bed.state()).toEqual({ queue: ['0_a_b'] })
    expect(content()).toBe('data')
    expect((fs.statSync(bed.only('q', 'queue')).mode & 0o7777).toString(8)).toBe('640')
  })

  test('of more than a pipe holds, from a slow writer', async () => {
    const { code } = await bed.sh('(head -c 300000 /dev/zero; fsq -h >/dev/null; echo end) | fsq enqueue q')
    expect(code).toBe(0)
    expect(content().length).toBe(300_004)
  })

  test('of a pipe and a FIFO, with little memory however large they are', async () => {
    const report = bed.bed.path('report.cjs')
    fs.writeFileSync(
      report,
      "process.on('exit', () => require('node:fs').writeSync(2, `${process.resourceUsage().maxRSS}\\n`))",
    )
    const env = { NODE_OPTIONS: `--require "${report}"` }
    const size = 256 * 1024 * 1024
    const fifo = `mkfifo f; head -c ${size} /dev/zero > f & fsq enqueue -f f q a`
    for (const script of [`head -c ${size} /dev/zero | fsq enqueue q a`, fifo]) {
      const { code, stderr } = await bed.sh(`cd '${bed.bed.root}'; ${script}`, { env })
      expect([code, fs.statSync(bed.only('q', 'queue')).size]).toEqual([0, size])
      expect(Number(stderr)).toBeLessThan(120_000)
      fs.unlinkSync(bed.only('q', 'queue'))
    }
  })

  test.each([
    ['fsq enqueue -e q a', ''],
    ['fsq enqueue --empty q a', ''],
    ['fsq enqueue q a <&-', ''],
    ['echo hi > f; fsq enqueue -f f q a', 'hi\n'],
    ['echo hi > f; fsq enqueue -e -f f q a', 'hi\n'],
    ['echo hi > f; fsq enqueue --file=f -e q a', 'hi\n'],
    ['echo A > f; echo B > g; fsq enqueue -f f -f g q a', 'B\n'],
    ['mkfifo f; (echo fifo > f &) ; fsq enqueue -f f q a', 'fifo\n'],
    ['echo dev | fsq enqueue -f /dev/stdin q a', 'dev\n'],
    ['fsq enqueue -- q a', 'input'],
  ])('%s', async (script, expected) => {
    const { code, stderr } = await bed.sh(`cd '${bed.bed.root}'; ${script}`, { input: 'input' })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(content()).toBe(expected)
    expect(bed.state()).toEqual({ queue: ['0_a'] })
  })

  test.each(['missing', '/'])('cannot be those of %s', async (file) => {
    const { code, stderr } = await bed.sh(`fsq enqueue -f ${file} q a`)
    expect(code).toBe(111)
    expect(stderr).toContain(`the file '${file}'`)
    expect(bed.state()).toEqual({})
  })

  ifRoot('cannot be those of an unreadable file (gives up root)', async () => {
    const file = bed.bed.path('secret')
    fs.writeFileSync(file, 'x', { mode: 0 })
    fs.chmodSync(bed.path('q'), 0o777)
    for (const part of ['queue', 'tmp']) fs.chmodSync(bed.path('q', part), 0o777)
    const { code, stderr } = await bed.sh(`fsq enqueue -f '${file}' q a`, { asNobody: true })
    expect(code).toBe(111)
    expect(stderr).toContain('EACCES')
    expect(bed.state()).toEqual({})
  })
})

describe('the arguments', () => {
  test('are all that comes after the name', async () => {
    expect((await bed.sh('fsq enqueue -e q -v --x')).code).toBe(0)
    expect(bed.state()).toEqual({ queue: ['0_-v_--x'] })
  })

  test('may be none, and any text', async () => {
    const script =
      'fsq enqueue -e q && fsq enqueue -e q "$(printf \'a\\nb\')" "$(printf \'c\\td\')" e/f g_h 50% . .. ü'
    expect((await bed.sh(script)).code).toBe(0)
    expect(bed.state()['queue']).toEqual(['0', '0_a\nb_c\td_e%2ff_g%5fh_50%25_._.._ü'])
  })

  test.each(["$(printf 'a\\377')", '$(printf %0250d 0)'])('cannot be %s', async (argument) => {
    const { code, stderr } = await bed.sh(`fsq enqueue -e q "${argument}"`)
    expect(code).toBe(111)
    expect(stderr).toMatch(/payload/)
    expect(bed.state()).toEqual({})
  })

  test('can be the character that stands for others', async () => {
    expect((await bed.sh("fsq enqueue -e q '\ufffd'")).code).toBe(0)
    expect(bed.state()).toEqual({ queue: ['0_\ufffd'] })
  })

  test('are of the charset', async () => {
    expect((await bed.sh('fsq -c ascii enqueue -e q ü')).code).toBe(111)
    expect(bed.state()).toEqual({})
  })
})

describe('nothing is queued, and that is an error', () => {
  test.each([
    ['fsq enqueue -e nosuch a', "There is no queue 'nosuch'"],
    ['fsq enqueue -e a/b x', 'a/b'],
    ["fsq enqueue -e '' x", 'empty'],
    ['fsq enqueue -u nosuch -e q a', 'nosuch'],
    ['fsq enqueue -g nosuch -e q a', 'nosuch'],
    ['fsq enqueue q a < /', 'standard input: it is a directory'],
    ['rmdir "$FSQ_ROOT"/q/tmp; fsq enqueue -e q a', 'tmp is missing'],
    ['rmdir "$FSQ_ROOT"/q/queue; fsq enqueue -e q a', 'queue is missing'],
  ])('%s', async (script, message) => {
    const { code, stdout, stderr } = await bed.sh(script)
    expect({ code, stdout }).toEqual({ code: 111, stdout: '' })
    expect(stderr).toContain(message)
    expect(bed.state()).toEqual({})
  })

  test('no queue shows before the input is read', async () => {
    // A FIFO that is open for writing, so that it never ends.
    const { code } = await bed.sh(
      `mkfifo '${bed.bed.path('f')}'; exec 3<>'${bed.bed.path('f')}'; fsq enqueue nosuch <&3`,
    )
    expect(code).toBe(111)
  })

  test.each(['-m abc', '-x', '-m', '-u -2', '--batch -e', '-0'])('bad usage: %s', async (flags) => {
    expect((await bed.sh(`fsq enqueue ${flags} -e q a`)).code).toBe(100)
    expect(bed.state()).toEqual({})
  })

  test('no space', async () => {
    const { code, stderr } = await bed.sh('fsq enqueue q a', {
      input: 'data',
      env: { NODE_OPTIONS: `--require "${FAULT_BUILD}"`, FSQ_FAULTS: 'enqueue.write=errno:28' },
    })
    expect(code).toBe(111)
    expect(stderr).toContain('ENOSPC')
    expect(bed.state()).toEqual({})
  })

  onLinux('a network, unless that is allowed', async () => {
    const env = { NODE_OPTIONS: `--require "${FAULT_BUILD}"`, FSQ_FAULTS: `open.fstatfs=answer:26985` }
    const { code, stderr } = await bed.sh('fsq enqueue -e q a', { env })
    expect(code).toBe(111)
    expect(stderr).toContain('Or run fsq doctor --peer on two machines, and set FSQ_ALLOW_NETWORK=1')
    expect(bed.state()).toEqual({})
    expect((await bed.sh('FSQ_ALLOW_NETWORK=1 fsq enqueue -e q a', { env })).code).toBe(0)
    expect((await bed.sh('fsq list q', { env })).stdout).toContain('_a\n')
  })

  ifRoot('without permission (gives up root)', async () => {
    const { code, stderr } = await bed.sh('fsq enqueue -e q a', { asNobody: true })
    expect(code).toBe(111)
    expect(stderr).toContain('EACCES')
  })
})

test('a queue that is down takes items', async () => {
  expect((await bed.sh('fsq down q; fsq enqueue -e q a')).code).toBe(0)
  expect(bed.state()).toEqual({ down: 'file', queue: ['0_a'] })
})

test('mode, whatever the umask', async () => {
  expect((await bed.sh('umask 077; fsq enqueue -m 0666 -e q a')).code).toBe(0)
  expect((fs.statSync(bed.only('q', 'queue')).mode & 0o777).toString(8)).toBe('666')
})
ifRoot('owner (needs root)', async () => {
  expect((await bed.sh('fsq enqueue -u 12345 -g 54321 -e q a')).code).toBe(0)
  const { uid, gid } = fs.statSync(bed.only('q', 'queue'))
  expect([uid, gid]).toEqual([12345, 54321])
})

describe('the id', () => {
  test('is printed, and said', async () => {
    const { code, stdout, stderr } = await bed.sh('fsq enqueue --id -v -e q a')
    const name = path.basename(bed.only('q', 'queue'))
    expect({ code, stdout }).toEqual({ code: 0, stdout: `${name}\n` })
    expect(stderr).toContain(name)
  })

  test('cannot be printed: the item is queued all the same', async () => {
    const full = await bed.sh('fsq enqueue --id -e q a > /dev/full')
    expect(full.code).toBe(111)
    expect(full.stderr).toMatch(/queued: _.*_a\n.*standard output/)
    const shell = bed.start('fsq enqueue --id -e q b')
    shell.process.stdout?.destroy()
    const closed = await shell.ended
    expect(closed.code).toBe(111)
    expect(closed.stderr).toMatch(/queued: _.*_b\n$/)
    expect(bed.state()).toEqual({ queue: ['0_a', '0_b'] })
  })

  test('goes nowhere where there is no standard output', async () => {
    expect((await bed.sh('fsq enqueue --id -e q a >&-')).code).toBe(0)
    expect(bed.state()).toEqual({ queue: ['0_a'] })
  })
})

describe('the trigger', () => {
  test('that is missing is an error, and the item is queued', async () => {
    const { code, stderr } = await bed.sh('fsq enqueue -t -e q a')
    expect(code).toBe(111)
    expect(stderr).toContain('do not enqueue it again')
    expect(bed.state()).toEqual({ queue: ['0_a'] })
  })

  test('that is missing fails a batch once, all of which is queued', async () => {
    const { code, stderr } = await bed.sh(
      '(echo \'["a"]\'; sleep 0.1; echo \'["b"]\') | fsq enqueue -t --batch q',
    )
    expect(code).toBe(111)
    expect(stderr.match(/do not enqueue it again/g)?.length).toBe(1)
    expect(bed.state()).toEqual({ queue: ['0_a', '0_b'] })
  })

  test('to which no process listens is no error', async () => {
    const { code, stderr } = await bed.sh('fsq install -f -t q; fsq enqueue -t -e q a; fsq enqueue -e q b')
    expect(code).toBe(0)
    expect(stderr).toContain('no process listens')
    expect(bed.state()['queue']).toEqual(['0_a', '0_b'])
  })

  test.each(['-t -e q a', '--trigger -e q a'])('wakes a listener: %s', async (args) => {
    const { code, stdout } = await bed.sh(
      `fsq install -f -t q; head -c 1 < "$FSQ_ROOT"/q/trigger-s | od -An -tx1 & fsq enqueue ${args}; r=$?; until [ -z "$(jobs -r)" ]; do fsq enqueue ${args}; done; exit $r`,
    )
    expect(code).toBe(0)
    expect(stdout.trim()).toBe('00')
  })

  test('is pulled once, by the option, and not by the variable', async () => {
    expect((await bed.sh('fsq install -f -t q')).code).toBe(0)
    const { O_RDWR, O_NONBLOCK } = fs.constants
    const listener = fs.openSync(bed.path('q', 'trigger-s'), O_RDWR | O_NONBLOCK)
    try {
      const env = { FSQ_USE_TRIGGER: '1' }
      for (const flags of ['-t -e', '-t --batch']) {
        const { code, stderr } = await bed.sh(`fsq enqueue ${flags} q`, { env, input: '["a"]' })
        expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
        expect(fs.readSync(listener, Buffer.alloc(9))).toBe(1)
      }
      expect((await bed.sh('fsq enqueue -e q', { env })).code).toBe(0)
      expect(() => fs.readSync(listener, Buffer.alloc(9))).toThrow('EAGAIN')
    } finally {
      fs.closeSync(listener)
    }
  })

  test('is not asked for by the variable, which makes an installation create it', async () => {
    const env = { FSQ_USE_TRIGGER: '1' }
    expect(await bed.sh('fsq enqueue -e q a', { env })).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(bed.state()).toEqual({ queue: ['0_a'] })
    expect(await bed.sh('fsq install -a h q2', { env })).toEqual({ code: 0, stdout: '', stderr: '' })
    expect(Object.keys(bed.state('q2'))).toEqual(['hosts', 'hosts-trigger-s', 'trigger-s'])
  })
})

describe('a batch', () => {
  test('of JSON lines', async () => {
    const lines = [
      '["x","y"]',
      '{"args":["z"],"json":{"a":1}}',
      '',
      '{"data":"text ü"}',
      '{"args":["b"],"base64":"AP8="}',
      '{"args":["e"],"data":null}',
    ]
    const { code, stdout, stderr } = await bed.sh('fsq enqueue --batch --id q pre', {
      input: lines.join('\n'),
    })
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    const ids = stdout.trim().split('\n')
    expect(ids.map((id) => id.split('_').slice(6).join('_'))).toEqual([
      'pre_x_y',
      'pre_z',
      'pre',
      'pre_b',
      'pre_e',
    ])
    const contents = ids.map((id) => fs.readFileSync(bed.path('q', 'queue', id)))
    expect(contents.map(String).slice(0, 3)).toEqual(['', '{"a":1}', 'text ü'])
    expect(contents.slice(3)).toEqual([Buffer.from([0, 255]), Buffer.from('')])
  })

  test('of contents, each before a NUL', async () => {
    const { code } = await bed.sh('fsq enqueue --batch -0 q a', { input: 'one\0two\n\0\0four' })
    expect(code).toBe(0)
    const files = fs.readdirSync(bed.path('q', 'queue'))
    files.sort((a, b) => Number(a.split('_')[2]) - Number(b.split('_')[2]))
    expect(files.map((file) => fs.readFileSync(bed.path('q', 'queue', file), 'utf8'))).toEqual([
      'one',
      'two\n',
      '',
      'four',
    ])
  })

  test('in which some are wrong: the others are queued, and each is named', async () => {
    const long = 'x'.repeat(260)
    const wrong = [
      'bad',
      '{"argss":1}',
      `["${long}"]`,
      '["\\ud800"]',
      '{"args":"x"}',
      '{"args":[1]}',
      '5',
      'null',
    ]
    const more = [
      '{"data":1}',
      '{"data":"a","json":1}',
      '{"base64":"a"}',
      '{"base64":"a*=="}',
      '{"delay":-1}',
      '{"delay":"1"}',
    ]
    const lines = ['["first"]', ...wrong, ...more, '["last"]']
    const { code, stderr } = await bed.sh('fsq enqueue --batch q', {
      input: Buffer.concat([
        Buffer.from(`${lines.join('\n')}\n["`),
        Buffer.from([0xff]),
        Buffer.from('"]\n'),
      ]),
    })
    expect(code).toBe(111)
    expect(bed.state()).toEqual({ queue: ['0_first', '0_last'] })
    for (let number = 2; number <= wrong.length + more.length + 1; number++)
      expect(stderr).toContain(`line ${number}: `)
    expect(stderr).toContain(`line ${lines.length + 1}: `)
    expect(stderr).toContain('2 new items queued')
  })

  test('ends where no process reads the ids, and says how far it has come', async () => {
    const input = Array.from({ length: 20_000 }, (_, index) => `["${index}"]`).join('\n')
    const { stderr } = await bed.sh('{ fsq enqueue --batch --id q; echo "code $?" >&2; } | head -n 1', {
      input,
    })
    const [, line, count] = /nothing after line (\d+) was read; (\d+) queued until then/.exec(stderr) ?? []
    expect(stderr).toMatch(/code 111\n$/)
    expect(line).toBe(count)
    expect(fs.readdirSync(bed.path('q', 'queue')).length).toBe(Number(count))
    expect(stderr.split('\n').length).toBeLessThan(6)
    expect(stderr.length).toBeLessThan(400)
  })

  test('ends where there is no space', async () => {
    const { code, stderr } = await bed.sh('fsq enqueue --batch q', {
      input: '{"data":"a"}\n{"data":"b"}\n{"data":"c"}\n\nwrong\n{"data":"d"}\n{"data":"e"}',
      env: { NODE_OPTIONS: `--require "${FAULT_BUILD}"`, FSQ_FAULTS: 'enqueue.link=errno:28' },
    })
    expect(code).toBe(111)
    expect(stderr.replaceAll(/^fsq enqueue: |(?<=Cannot enqueue|no JSON).*/gm, '').split('\n')).toEqual([
      'line 1: Cannot enqueue',
      'lines 2 to 3: the same',
      'line 5: it is no JSON',
      'line 6: Cannot enqueue',
      'stopped: nothing after line 6 was read',
      'q queue: 0 new items queued',
      '',
    ])
    expect(bed.state()).toEqual({})
  })

  test('is queued as it comes', async () => {
    const { code } = await bed.sh(
      `(echo '["a"]'; until [ "$(ls "$FSQ_ROOT"/q/queue)" ]; do :; done; echo '["b"]') | fsq enqueue --batch q`,
    )
    expect(code).toBe(0)
    expect(bed.state()).toEqual({ queue: ['0_a', '0_b'] })
  })

  test('of many thousands', async () => {
    const input = Array.from(
      { length: 20_000 },
      (_, number) => `{"args":["${number}"],"data":"${'x'.repeat(number % 100)}"}\n`,
    )
    const { code, stderr } = await bed.sh('fsq enqueue --batch -v q', { input: input.join('') })
    expect({ code, stderr }).toEqual({ code: 0, stderr: 'fsq enqueue: q queue: 20000 new items queued\n' })
    expect(fs.readdirSync(bed.path('q', 'queue')).length).toBe(20_000)
  })
})

test('enqueues of four shell loops, and two scans beside each other', async () => {
  const loops = ['a', 'b', 'c', 'd'].map(
    (name) =>
      `(i=0; while [ $i -lt 40 ]; do fsq enqueue -e q ${name}$i || exit 1; i=$((i+1)); done) & p="$p $!"\n`,
  )
  const { code, stderr } = await bed.sh(`${loops.join('')} for i in $p; do wait $i || exit 1; done`)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(fs.readdirSync(bed.path('q', 'queue')).length).toBe(160)
  const outcomes = await Promise.all([1, 2].map(async () => bed.sh('fsq scan -j 2 q echo')))
  expect(outcomes.map((outcome) => outcome.code)).toEqual([0, 0])
  const ran = outcomes.flatMap(({ stdout }) => stdout.trim().split('\n'))
  expect([ran.length, new Set(ran).size]).toEqual([160, 160])
  expect(bed.state()['queue']).toBeUndefined()
}, 600_000)
