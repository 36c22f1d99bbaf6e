import fs from 'node:fs'

import { beforeEach, describe, expect, test } from '@jest/globals'

import { useCommandBed } from '../support/command.js'
import { ifRoot } from '../support/needs.js'

const bed = useCommandBed()
const OLD = '_20120710213904_0_1_h_0'

beforeEach(async () => {
  expect((await bed.sh('fsq install q && fsq enqueue -e q a')).code).toBe(0)
})

async function kinds(command = 'fsq audit --json'): Promise<string[]> {
  const { code, stdout } = await bed.sh(command)
  expect(code).toBe(0)
  const lines = stdout.split('\n').filter((line) => line !== '')
  return lines.map((line) => (JSON.parse(line) as { kind: string }).kind).sort()
}

/** Everything that can be wrong and needs neither root nor 36 hours. */
function spoil(): void {
  for (const name of ['README', `${OLD.slice(0, -1)}9_${'0'.repeat(255 - OLD.length - 1)}`]) bed.plant(name)
  bed.plant('_20990101000000_0_1_h_0_ahead')
  bed.plant(`${OLD}_secret`)
  fs.chmodSync(bed.path('q', 'queue', `${OLD}_secret`), 0o600)
  fs.mkdirSync(bed.path('q', 'queue', 'directory'))
  fs.symlinkSync('/nonexistent', bed.path('q', 'done', 'link'))
  fs.mkdirSync(bed.path('.fsq-abcdef', 'queue'), { recursive: true })
  fs.chmodSync(bed.path('q', 'done'), 0o755)
}

describe('audit', () => {
  test('finds nothing where nothing is wrong, also while items are done', async () => {
    expect(await kinds()).toEqual([])
    expect((await bed.sh('fsq audit')).stdout).toBe('')
    expect((await bed.sh('fsq scan q sh -c "fsq audit --exit-code q"')).code).toBe(0)
    expect(bed.state()).toEqual({ done: ['0_a'] })
  })

  test('finds what is wrong, and changes nothing', async () => {
    spoil()
    const before = await bed.sh('cd "$FSQ_ROOT"; ls -lRA --time-style=full-iso')
    expect(await kinds()).toEqual([
      'clock',
      'foreign',
      'foreign',
      'half-installed',
      'malformed',
      'mode',
      'mode',
      'ungrowable',
    ])
    expect(await kinds('FSQ_TTL=3600 fsq audit --json q')).toEqual(
      ['clock', 'foreign', 'foreign', 'malformed', 'mode', 'mode', 'ungrowable', 'expired', 'expired'].sort(),
    )
    expect((await bed.sh('fsq audit --exit-code')).code).toBe(111)
    expect(await bed.sh('cd "$FSQ_ROOT"; ls -lRA --time-style=full-iso')).toEqual(before)
  })

  test('knows what else belongs to a queue, and finds what does not', async () => {
    await bed.sh('fsq install -f -t -d q; fsq install --lock-kind=fcntl -m 2700 f; mkdir "$FSQ_ROOT"/q/hosts')
    expect(await kinds()).toEqual([])
    await bed.sh('cd "$FSQ_ROOT"/q; rm down trigger-s; touch trigger-s core; ln -s core down')
    expect(await kinds()).toEqual(['foreign', 'foreign', 'foreign'])
    expect((await bed.sh('fsq repair -y')).stderr).toContain('3 findings are not for a program to mend')
  })

  test('finds a directory that is missing', async () => {
    fs.rmdirSync(bed.path('q', 'done'))
    expect(await kinds()).toEqual(['missing'])
  })

  ifRoot('finds owners (needs root)', async () => {
    fs.chownSync(bed.path('q', 'fail'), 12345, 54321)
    expect(await kinds()).toEqual(['owner'])
    expect((await bed.sh('fsq repair')).code).toBe(0)
    expect(await kinds()).toEqual([])
  })

  test('no such queue', async () => {
    expect((await bed.sh('fsq audit nosuch')).code).toBe(111)
  })
})

describe('repair', () => {
  test('does what was proposed, and asks before it removes', async () => {
    spoil()
    const dry = await bed.sh('fsq repair -n')
    expect(dry.stdout.trim().split('\n').length).toBe(4)
    expect((await kinds()).length).toBe(8)
    const careful = await bed.sh('fsq repair', { input: 'y\n' })
    expect(careful.code).toBe(111)
    expect(careful.stderr).toContain('use -y')
    expect(await kinds()).toEqual(['clock', 'foreign', 'foreign', 'half-installed', 'ungrowable'])
    expect(bed.state()['fail']).toEqual(['README'])
    const bold = await bed.sh('fsq repair --yes -v')
    expect(bold.code).toBe(0)
    expect(bold.stderr).toContain('.fsq-abcdef')
    expect(await kinds()).toEqual(['clock', 'foreign', 'foreign', 'ungrowable'])
  })

  test('replaces nothing, and completes a move that was cut in half', async () => {
    bed.plant('README')
    fs.writeFileSync(bed.path('q', 'fail', 'README'), 'another')
    bed.plant('half')
    fs.linkSync(bed.path('q', 'queue', 'half'), bed.path('q', 'fail', 'half'))
    expect((await bed.sh('fsq repair')).code).toBe(0)
    expect(bed.state()).toEqual({ queue: ['0_a'], fail: ['README', 'README~1', 'half'] })
    expect(fs.readFileSync(bed.path('q', 'fail', 'README'), 'utf8')).toBe('another')
  })

  ifRoot('moves what is another user’s (needs root)', async () => {
    await bed.sh('chmod 755 "$FSQ_ROOT"; fsq install -f -m 2777 q')
    bed.plant('README')
    fs.chmodSync(bed.path('q', 'queue', 'README'), 0o644)
    expect((await bed.sh('fsq repair', { asNobody: true })).code).toBe(0)
    expect(bed.state()).toEqual({ fail: ['README'] })
  })

  test('leaves what is worked on, and what is being installed', async () => {
    bed.plant('README')
    fs.mkdirSync(bed.path('.fsq-abcdef'))
    const script = `exec 8<"$FSQ_ROOT"/.fsq-abcdef 9<"$FSQ_ROOT"/q/queue/README; flock 8; flock 9; fsq repair -y`
    const { code, stderr } = await bed.sh(script)
    expect(code).toBe(111)
    expect(stderr.match(/is being worked on/g)?.length).toBe(2)
    expect((await kinds()).length).toBe(2)
  })

  test('removes what an enqueue and a probe have left, when they cannot be under way any more', async () => {
    fs.writeFileSync(bed.path('q', 'tmp', 'draft'), '')
    for (const left of ['.fsq-probe-abcdef', '.fsq-peer'])
      fs.mkdirSync(bed.path(left, 'queue'), { recursive: true })
    expect(await kinds()).toEqual([])
    // Times of change cannot be set; but the clock can.
    const later = bed.bed.path('later.cjs')
    fs.writeFileSync(later, 'const { now } = Date; Date.now = () => now() + 37 * 3600 * 1000')
    const env = { NODE_OPTIONS: `--require "${later}"` }
    expect((await bed.sh('fsq audit', { env })).stdout).toMatch(/stale .*1d 13h ago +remove /)
    expect((await bed.sh('fsq audit', { env })).stdout).toMatch(/stale .*from a probe .*remove directory /)
    expect((await bed.sh('fsq repair -y', { env })).code).toBe(0)
    expect(bed.state()).toEqual({ queue: ['0_a'] })
    expect(fs.readdirSync(bed.root)).toEqual(['q'])
  })
})

describe('stats', () => {
  test('counts what was finished lately', async () => {
    await bed.sh('fsq enqueue -e q b; fsq scan q sh -c \'[ "$0" = a ]\'; fsq enqueue -e q c')
    const { stdout } = await bed.sh('fsq stats --json; fsq stats q')
    const [json = '', ...table] = stdout.split('\n')
    expect(JSON.parse(json)).toMatchObject({
      queue: 'q',
      waiting: 1,
      working: 0,
      delayed: 0,
      done: 1,
      failed: 1,
      doneLastMinute: 1,
      doneLastHour: 1,
      doneLastDay: 1,
      failedLastMinute: 1,
      failedLastDay: 1,
      oldestAge: expect.any(Number),
    })
    expect(table[0]).toMatch(/^QUEUE +WAITING/)
    expect(table[1]).toMatch(/^q +1 +0 +0 /)
  })
})
