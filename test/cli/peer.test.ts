// `fsq doctor --peer`: two commands play with each other, one of them on a mount that is made odd.
import fs from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'

import { describe, expect, test } from '@jest/globals'

import type { PeerProbe } from '../../src/probe/peer/probe-peer.js'
import { type Outcome, type Shell, useCommandBed } from '../support/command.js'
import { FAULT_BUILD } from '../support/fault-build.js'
import { onLinux } from '../support/needs.js'
import { until } from '../support/queue.js'

const bed = useCommandBed()
const support = (name: string): string => fileURLToPath(new URL(`../support/${name}`, import.meta.url))
const ODD_MOUNT = support('odd-mount.cjs')
// Two trials end at their time limit of 10 s.
const LONG_MS = 40_000

function start(mount = '', script = 'fsq doctor --peer --json "$FSQ_ROOT"'): Shell {
  return bed.start(script, { env: { NODE_OPTIONS: `--require "${ODD_MOUNT}"`, FSQ_TEST_MOUNT: mount } })
}

async function play(...mounts: [one: string, other: string]): Promise<[one: Outcome, other: Outcome]> {
  const [one, other] = mounts.map((mount) => start(mount).ended)
  return Promise.all([one as Promise<Outcome>, other as Promise<Outcome>])
}

const foundIn = ({ stdout }: Outcome): PeerProbe => JSON.parse(stdout) as PeerProbe
const keptIn = (outcome: Outcome): Record<string, string> =>
  Object.fromEntries(Object.entries(foundIn(outcome).promises).map(([name, { kept }]) => [name, kept]))

const ALL = {
  lockClaims: 'yes',
  renameClaims: 'yes',
  finishedOnce: 'yes',
  toldBefore: 'unsure',
  claimNumbers: 'yes',
  delays: 'yes',
  clocks: 'yes',
}

describe('two processes in one directory', () => {
  test('agree that all promises are kept, and leave nothing', async () => {
    const [one, other] = [start(), start('', 'cd "$FSQ_ROOT" && fsq doctor --peer .')]
    const [shown, told] = await Promise.all([one.ended, other.ended])
    expect([shown.code, told.code]).toEqual([0, 0])
    expect(keptIn(shown)).toEqual(ALL)
    expect(foundIn(shown)).toMatchObject({
      path: bed.root,
      refusals: [],
      refusalsOfPeer: 0,
      lease: null,
      locks: { fcntl: { works: true }, flock: { works: true } },
      names: { stale: 0, staleAfterAsking: 0, renamed: 0 },
      renames: { races: 30, twice: 0, lost: 0 },
      targets: { link: { works: true } },
    })
    expect(foundIn(shown).names.looks).toBeGreaterThanOrEqual(8)
    expect(Math.abs(foundIn(shown).clocks.apart)).toBeLessThan(500)
    expect(told.stdout).toMatch(/^WHAT +RESULT +WHY\ndirectory +\//)
    expect(told.stdout).toMatch(/^promise: rename claims +yes +each of 30 names/m)
    expect(told.stdout.split('\n').filter((line) => line.length > 80 && !line.includes(bed.root))).toEqual([])
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  onLinux('say that they run on one machine', async () => {
    const outcomes = await play('', '')
    for (const outcome of outcomes) {
      expect(foundIn(outcome).oneMachine).toBe(true)
      expect(outcome.stderr).toContain('this says nothing about two')
    }
  })
})

describe('a mount that does not fit', () => {
  test.each(['local locks', 'no locks'])('%s: no claims are safe', async (mount) => {
    const outcomes = await play('', mount)
    for (const outcome of outcomes) {
      const { locks } = foundIn(outcome)
      expect([locks.fcntl.works, locks.flock.works]).toEqual([false, false])
      const reason = mount === 'no locks' ? /\((ENOTSUP|EOPNOTSUPP)\)/ : /\(no effect\).*\(no effect\)/
      expect(locks.fcntl.reason).toMatch(mount === 'no locks' ? /NOTSUP/ : /no effect/)
      expect(outcome.code).toBe(111)
      expect(outcome.stderr).toMatch(
        /two machines cannot work a queue there: neither fcntl locks .* exclude .* nolock/,
      )
      expect(outcome.stderr).toMatch(reason)
      expect(keptIn(outcome)).toMatchObject({ lockClaims: 'no', renameClaims: 'no', finishedOnce: 'no' })
    }
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test('a name cache: claims by locks are not safe, claims by renames are', async () => {
    for (const outcome of await play('', 'stale names')) {
      const { names } = foundIn(outcome)
      // One of the two was fooled at each of its looks.
      expect([names.stale * 2, names.staleAfterAsking * 2, names.renamed]).toEqual([
        names.looks,
        names.looks,
        0,
      ])
      expect(outcome.code).toBe(111)
      expect(keptIn(outcome)).toEqual({ ...ALL, lockClaims: 'no' })
      expect(outcome.stderr).toMatch(
        /can work .* with claims by renames only \(install --claims=rename\): names are stale.*would run twice/,
      )
    }
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test('renames that both machines win', async () => {
    for (const outcome of await play('renames that both win', 'renames that both win')) {
      expect(foundIn(outcome).renames.twice).toBeGreaterThan(0)
      expect(outcome.code).toBe(111)
      expect(outcome.stderr).toMatch(
        /two machines cannot work a queue there: of 30 renames .* succeeded in both/,
      )
    }
  })

  test('links that replace: fsq uses renames that do not', async () => {
    for (const outcome of await play('', 'links that replace')) {
      expect(foundIn(outcome).targets.link).toEqual({ works: false, reason: 'no effect' })
      const { works } = foundIn(outcome).targets.renameNoReplace
      expect(keptIn(outcome)['finishedOnce']).toBe(works ? 'yes' : 'no')
    }
  })

  test('times in the future that are not kept', async () => {
    for (const outcome of await play('no future times', '')) {
      expect(keptIn(outcome)).toEqual({ ...ALL, delays: 'no' })
      expect(outcome.code).toBe(0)
    }
  })

  test('clocks that differ', async () => {
    const [one, other] = await play('a clock ahead', '')
    expect(foundIn(one).clocks.apart).toBeGreaterThan(4_500)
    expect(foundIn(other).clocks.apart).toBeLessThan(-4_500)
    for (const outcome of [one, other]) {
      expect(outcome.code).toBe(0)
      expect(keptIn(outcome)).toEqual({ ...ALL, clocks: 'no' })
      expect(foundIn(outcome).promises.clocks.reason).toMatch(/the clocks are (4\.9|5|5\.1) s apart/)
    }
  })

  onLinux('options that forbid several machines: each side says why', async () => {
    const [one, other] = await play('a soft mount', '')
    expect([one.code, other.code]).toEqual([111, 111])
    expect(foundIn(one).refusals).toEqual([expect.stringContaining('mount it with hard')])
    expect(one.stderr).toMatch(/two machines cannot work a queue there: on a soft mount/)
    expect(foundIn(other)).toMatchObject({ refusals: [], refusalsOfPeer: 1 })
    expect(other.stderr).toMatch(/two machines cannot work a queue there: the mount of the other machine/)
  })
})

describe('the other process', () => {
  test('is interrupted: both end at once, and nothing is left', async () => {
    const [one, other] = [start(), start('a look that hangs', 'exec fsq doctor --peer "$FSQ_ROOT"')]
    await until('the trials have begun', () => {
      const place = path.join(bed.root, '.fsq-peer')
      const entries = fs.existsSync(place) ? fs.readdirSync(place, { recursive: true }) : []
      return entries.some((entry) => String(entry).endsWith('_made'))
    })
    other.killGroup('SIGINT')
    const [ended, interrupted] = await Promise.all([one.ended, other.ended])
    expect([interrupted.code, interrupted.stdout]).toEqual([null, ''])
    expect([ended.code, ended.stdout]).toEqual([111, ''])
    expect(ended.stderr).toContain('The other process ended before the trial was over')
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test('was killed before: what it has left confuses no later one, and is removed', async () => {
    const killed = start()
    await until('it waits', () => killed.stderr.includes('waiting up to 10 s'))
    killed.killGroup('SIGKILL')
    await killed.ended
    const place = path.join(bed.root, '.fsq-peer')
    const [left = '', ...more] = fs.readdirSync(place)
    expect([left, more]).toEqual([expect.stringMatching(/^hello/), []])
    expect((await play('', '')).map(({ code }) => code)).toEqual([0, 0])
    // Another process might still be about to come.
    expect(fs.readdirSync(place)).toEqual([left])
    fs.utimesSync(path.join(place, left), 0, 0)
    expect((await play('', '')).map(({ code }) => code)).toEqual([0, 0])
    expect(fs.readdirSync(bed.root)).toEqual([])
  })

  test(
    'is in another directory, or hangs in a call: the command says so after its time, and ends',
    async () => {
      fs.mkdirSync(bed.path('one'))
      fs.mkdirSync(bed.path('other'))
      const apart = ['one', 'other'].map((name) => bed.sh(`fsq doctor --peer "$FSQ_ROOT"/${name}`))
      fs.mkdirSync(bed.path('hung'))
      const hang = bed.bed.path('pause')
      const env = { NODE_OPTIONS: `--require "${FAULT_BUILD}"`, FSQ_FAULTS: `lock.lock=pause:${hang}` }
      const hung = bed.sh('fsq doctor --peer "$FSQ_ROOT"/hung', { env })
      const waits = bed.sh('fsq doctor --peer "$FSQ_ROOT"/hung')
      for (const { code, stdout, stderr } of await Promise.all(apart)) {
        expect([code, stdout]).toEqual([111, ''])
        expect(stderr).toMatch(
          /waiting up to 10 s .*\n.*No other process has come .* the two directories are not/,
        )
      }
      expect(await hung).toMatchObject({ code: 111, stdout: '' })
      expect((await hung).stderr).toMatch(
        /The file system did not answer for 10 s, while they tried fcntl locks/,
      )
      expect((await waits).code).toBe(111)
      expect((await waits).stderr).toMatch(
        /Nothing new of the other process was seen for 10 s|The other process ended/,
      )
      expect(fs.readdirSync(bed.root, { recursive: true }).sort()).toEqual(['hung', 'one', 'other'])
    },
    LONG_MS,
  )
})

test.each([
  ['fsq doctor --peer', 100, 'Usage: fsq doctor'],
  ["fsq doctor --peer ''", 100, 'Usage: fsq doctor'],
  ['fsq doctor --peer /nonexistent', 111, 'Cannot probe the directory'],
  [`fsq doctor --peer ${path.resolve('package.json')}`, 111, 'Cannot probe the directory'],
])('%s', async (command, code, says) => {
  const outcome = await bed.sh(command)
  expect([outcome.code, outcome.stdout]).toEqual([code, ''])
  expect(outcome.stderr).toContain(says)
})
