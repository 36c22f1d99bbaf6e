import fs from 'node:fs'

import { describe, expect, test } from '@jest/globals'

import { useCommandBed } from '../support/command.js'

const bed = useCommandBed()

describe('bad usage', () => {
  test.each([
    ['fsq', 'the command is missing'],
    ['fsq -x', 'there is no option -x'],
    ['fsq lsit', "there is no command 'lsit' (do you mean list?)"],
    ['fsq scan --max-tris=5 q true', 'there is no option --max-tris (do you mean --max-tries?)'],
    ['fsq prune -k -1 q', "-k is '-1', expected a whole number of 0 or more"],
    ['fsq --bogus', 'there is no option --bogus'],
    ['fsq -c', '-c needs a value'],
    ['fsq --help=yes', '--help takes no value'],
    ['fsq nosuchcmd', "there is no command 'nosuchcmd'"],
    ['fsq a/b', "there is no command 'a/b'"],
    ["fsq ''", "there is no command ''"],
    ['fsq constructor', "there is no command 'constructor'"],
    ['fsq -q a/b install q', '-q is'],
    ['fsq show q -2026-0', "there is no option -2; what begins with a dash and is no option goes after '--'"],
    ['fsq enqueue --mode=77777 q', "--mode is '77777'"],
    ['fsq enqueue -u 4294967295 q', "-u is '4294967295'"],
    ['fsq install -m 10000 q', "-m is '10000'"],
    ['fsq --done-dir=.. install q', "--done-dir is '..', expected the name of a directory entry"],
    ['fsq install -o nosuchuser q', "-o is 'nosuchuser'"],
    ['fsq install --group=nosuchgroup q', "--group is 'nosuchgroup'"],
    ['fsq -c nosuchcharset install q', '-c is'],
    ['fsq install', 'the name of a queue is missing'],
    ['fsq install -x q', 'there is no option -x'],
    ['fsq scan q', 'the program is missing'],
    ['fsq scan', 'the name of a queue is missing'],
    ['fsq enqueue', 'the name of a queue is missing'],
    ['fsq add-host h', 'the name of a queue is missing'],
    ['fsq rm-host', 'the name of a host is missing'],
    ['fsq up-host h', 'the name of a queue is missing'],
    ['fsq down-host h', 'the name of a queue is missing'],
    ['fsq down-host -m abc h q', "-m is 'abc'"],
    ['fsq host-dist', 'the name of a queue is missing'],
    ['fsq host-dist -S 256 q', "-S is '256'"],
    ['fsq scan -a q', 'the program is missing'],
    ['fsq push http://h:1 q q h', '5 operands are needed'],
    ['fsq jsonrpcd', 'host and port are missing'],
  ])('%s', async (script, message) => {
    const { code, stdout, stderr } = await bed.sh(script)
    expect({ code, stdout }).toEqual({ code: 100, stdout: '' })
    expect(stderr).toContain(message)
    expect(stderr).toContain('Usage: fsq')
    expect(stderr).toMatch(/: Try 'fsq(?: [a-z-]+)? --help'\n$/)
    expect(stderr.split('\n').length).toBeLessThan(8)
    expect(fs.readdirSync(bed.root)).toEqual([])
  })
})

test.each(['-h', '--help'])('fsq %s is one screen with an example', async (flag) => {
  const { code, stdout, stderr } = await bed.sh(`fsq ${flag}`)
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  expect(stdout).toMatch(/^Usage: fsq.*\nExample:\n {2}/s)
  expect(stdout.split('\n').length).toBeLessThanOrEqual(45)
})

test('fsq help is fsq --help, and fsq help COMMAND is fsq COMMAND --help', async () => {
  for (const command of ['', 'scan']) {
    const { code, stdout } = await bed.sh(`fsq help ${command}`)
    expect({ code, stdout }).toEqual({ code: 0, stdout: (await bed.sh(`fsq ${command} --help`)).stdout })
  }
  expect((await bed.sh('fsq help nosuchcmd')).code).toBe(100)
})

test.each(['-V', '--version'])('fsq %s', async (option) => {
  const { version } = JSON.parse(fs.readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  expect(await bed.sh(`fsq ${option}`)).toEqual({ code: 0, stdout: `fsq ${version}\n`, stderr: '' })
})

test.each(['scan -j 4 --help', 'install -fh q'])('fsq %s does nothing else', async (args) => {
  expect((await bed.sh(`fsq ${args}`)).code).toBe(0)
  expect(fs.readdirSync(bed.root)).toEqual([])
})

test('-l lists the commands', async () => {
  const { code, stdout } = await bed.sh('fsq -l && fsq --list')
  expect(code).toBe(0)
  expect(stdout).toMatch(/^scan +run a program/m)
})

test('names of directories, files and the root', async () => {
  const other = bed.bed.path('other')
  fs.mkdirSync(other)
  const { code } = await bed.sh(
    `fsq -r '${other}' -q qq --tmp-dir=tt -ddd -D dn -T tr install -dt q && fsq -q qq -t tt -d dd -r '${other}' enqueue -e q a`,
  )
  expect(code).toBe(0)
  expect(fs.readdirSync(`${other}/q`).sort()).toEqual(['dd', 'dn', 'fail', 'qq', 'tr', 'tt'])
  expect(bed.state('q', other)).toEqual({ qq: ['0_a'], dn: 'file', tr: 'FIFO' })
  expect(fs.readdirSync(bed.root)).toEqual([])
})

test('the environment says the same', async () => {
  const { code } = await bed.sh(
    'FSQ_TRIGGER=tr fsq install -t q && FSQ_DELIMITER=. FSQ_ITEM_MODE=600 fsq enqueue -e q a.b c_d',
  )
  expect(code).toBe(0)
  expect(bed.state()['tr']).toBe('FIFO')
  expect(bed.only('q', 'queue')).toMatch(/\.a%2eb\.c_d$/)
  expect((fs.statSync(bed.only('q', 'queue')).mode & 0o777).toString(8)).toBe('600')
})

test.each([
  ['FSQ_MAX_TRIES=abc', 'FSQ_MAX_TRIES'],
  ['FSQ_DELIMITER=__', 'FSQ_DELIMITER'],
  ['FSQ_QUEUE_USER=nosuchuser', 'FSQ_QUEUE_USER'],
])('a bad environment is an error that names it: %s', async (setting, name) => {
  const { code, stderr } = await bed.sh(`${setting} fsq install q`)
  expect(code).toBe(111)
  expect(stderr).toContain(`fsq install: ${name}`)
})

test('the place of commands, which the first implementation needed, is taken and not used', async () => {
  expect((await bed.sh('fsq -e /nonexistent install q')).code).toBe(0)
})

test('messages have no control characters', async () => {
  const { code, stderr } = await bed.sh(
    `fsq install -- "$(printf 'a/\\033[31mb')"; fsq -r "$(printf '/\\033]0;x')" scan q true`,
  )
  expect(code).toBe(111)
  expect(stderr).not.toContain('\u001b')
  expect(stderr).toContain('\\x1b')
})
