// Listings of damaged queues, and of names that no terminal and no charset expects.
import fs from 'node:fs'

import { expect, test } from '@jest/globals'

import { useCommandBed } from '../support/command.js'

const bed = useCommandBed()

const rows = (stdout: string): string[][] =>
  stdout
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((line) => line.split(/ {2,}/))

test.each(['list', 'stats'])('%s: a queue that is damaged does not hide the others', async (command) => {
  await bed.sh('fsq install a b c')
  fs.rmdirSync(bed.path('b', 'done'))
  const { code, stdout, stderr } = await bed.sh(`fsq ${command}`)
  expect(code).toBe(111)
  expect(rows(stdout).map(([name]) => name)).toEqual(['a', 'c'])
  expect(stderr).toContain("the queue 'b' is skipped")
  expect(stderr).toContain(bed.path('b', 'done'))
})

test.each(['list', 'stats', 'audit', 'repair'])(
  '%s: a queue that may not be looked into does not hide the others',
  async (command) => {
    await bed.sh(
      'chmod 755 "$FSQ_ROOT"; fsq install -m 777 b; touch "$FSQ_ROOT"/b/queue/junk; mkdir -m 0 "$FSQ_ROOT"/a "$FSQ_ROOT"/lost+found',
    )
    const { code, stdout, stderr } = await bed.sh(`fsq ${command}`, { asNobody: true })
    expect(code).toBe(111)
    expect(stderr.match(/is skipped/g)).toEqual(['is skipped'])
    expect(stderr).toContain("the queue 'a' is skipped")
    if (command === 'repair') expect(fs.readdirSync(bed.path('b', 'fail'))).toEqual(['junk'])
    else expect(stdout).toMatch(/^b /m)
  },
)

test('list tells of files that it leaves out for their names', async () => {
  await bed.sh('fsq install q; touch "$FSQ_ROOT"/q/queue/README; fsq scan q true')
  const { code, stdout, stderr } = await bed.sh('fsq list -s all q')
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' })
  expect(stderr).toContain(`not listed: 1 in ${bed.path('q', 'fail')}`)
})

test('columns are aligned where characters are wide or combine', async () => {
  await bed.sh('fsq install q 日本語 Москва café nai\u0308ve 🙂')
  const { stdout } = await bed.sh('fsq list')
  const [head = '', ...lines] = stdout.trimEnd().split('\n')
  // Each takes as many columns as the terminal gives it.
  const widths: Readonly<Record<string, number>> = { 日本語: 6, 'nai\u0308ve': 5, '🙂': 2 }
  for (const line of lines) {
    const [name = ''] = line.split(' ')
    const waiting = line.indexOf('0') - name.length + (widths[name] ?? name.length)
    expect({ name, waiting }).toEqual({ name, waiting: head.indexOf('WAITING') + 'WAITING'.length - 1 })
  }
  expect(lines.length).toBe(6)
})

test('--json is JSON, and its paths lead to the files, whatever their names', async () => {
  await bed.sh('fsq install q')
  const names = ['a\nb', '\u001b[31m', '\u009b', 'é', '"\\'].map((arg) => `_20120710213904_0_1_h_0_${arg}`)
  for (const name of names) bed.plant(name)
  bed.plant('junk\n')
  const items = (await bed.sh('fsq list --json q')).stdout.trimEnd().split('\n')
  const paths = items.map((line) => (JSON.parse(line) as { path: string }).path)
  expect(paths.sort()).toEqual(names.map((name) => bed.path('q', 'queue', name)).sort())
  const { stdout } = await bed.sh('fsq audit --json')
  expect(JSON.parse(stdout)).toMatchObject({ queue: 'q', path: bed.path('q', 'queue', 'junk\n') })
  const raw = Buffer.concat([Buffer.from(bed.path('q', 'queue', 'x')), Buffer.from([0xff])])
  fs.writeFileSync(raw, '')
  expect((await bed.sh('fsq audit --json')).stdout).toContain(String.raw`/x\\xff"`)
  const shown = (await bed.sh('fsq audit; fsq repair -n; fsq list q')).stdout
  for (const introducer of ['\u001b', '\u009b']) expect(shown).not.toContain(introducer)
})

test('audit: what no queue has is null', async () => {
  fs.mkdirSync(bed.path('.fsq-abcdef'))
  fs.mkdirSync(bed.path('.q~', 'tmp'), { recursive: true })
  const { stdout } = await bed.sh('fsq audit --json')
  expect(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([
    expect.objectContaining({ queue: null, kind: 'half-installed', path: bed.path('.fsq-abcdef') }),
    expect.objectContaining({ queue: null, kind: 'half-installed', path: bed.path('.q~'), fix: null }),
  ])
})

test('audit: an item of a queue that one user has to himself may be his alone', async () => {
  await bed.sh(
    'fsq install -m 700 own; fsq enqueue -m 600 -e own a; fsq install q; fsq enqueue -m 600 -e q a',
  )
  const { stdout } = await bed.sh('fsq audit --json')
  expect(JSON.parse(stdout)).toMatchObject({ queue: 'q', kind: 'mode' })
})

test('audit and repair: drafts that were not written to for long are left over', async () => {
  await bed.sh(
    'fsq install q; cd "$FSQ_ROOT"/q/tmp; touch new; touch -d "37 hours ago" old; touch -d "1 day" later',
  )
  expect(JSON.parse((await bed.sh('fsq audit --json')).stdout)).toMatchObject({
    kind: 'stale',
    path: bed.path('q', 'tmp', 'old'),
  })
  expect((await bed.sh('fsq repair -y')).code).toBe(0)
  expect(fs.readdirSync(bed.path('q', 'tmp')).sort()).toEqual(['later', 'new'])
})
