// fsq watch beside real programs.
import fs from 'node:fs'
import process from 'node:process'

import { expect, jest, test } from '@jest/globals'

import { QueueWatcher } from '../../src/cli/watch/watcher.js'
import { layoutOf } from '../../src/directory/layout.js'
import { resolveSettings } from '../../src/settings.js'
import { type Shell, useCommandBed } from '../support/command.js'
import { onLinux } from '../support/needs.js'
import { until } from '../support/queue.js'

const bed = useCommandBed()
const MANY = 1000

interface Told {
  readonly what: string
  readonly queue: string
  readonly id: string
  readonly args: readonly string[]
  readonly error?: { readonly message: string }
  readonly reason?: string | null
}

/** A watch that has begun. */
async function watch(more = ''): Promise<Shell> {
  const shell = bed.start(`exec fsq watch -v ${more}`)
  await until('the watch has begun', () => shell.stderr.includes('watching'))
  return shell
}

/** What a watch with `--json` has printed. */
function told({ stdout }: Shell): readonly Told[] {
  return stdout
    .slice(0, stdout.lastIndexOf('\n') + 1)
    .trimEnd()
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Told)
}

onLinux('of a burst each item has one line for each thing that happens to it', async () => {
  await bed.sh('fsq install q')
  const shell = await watch('--json q')
  const queue = bed.bed.open({ root: bed.root, durability: 'none' })
  await queue.work(
    ({ args: [number], tries }) => {
      if (Number(number) % 10 === 0 && tries === 0) throw new Error('odd')
    },
    { concurrency: 16, maxTries: 2, backoff: () => 0 },
  )
  await queue.enqueueMany(Array.from({ length: MANY }, (_, number) => ({ args: [String(number)] })))
  await until('all are done', () => told(shell).filter(({ what }) => what === 'done').length === MANY)
  await queue.close()
  shell.process.kill('SIGTERM')
  await shell.ended
  const byItem = new Map<string, string[]>()
  for (const {
    what,
    args: [number = ''],
  } of told(shell))
    byItem.set(number, [...(byItem.get(number) ?? []), what])
  expect(byItem.size).toBe(MANY)
  for (const [number, whats] of byItem)
    expect({ number, whats }).toEqual({
      number,
      whats: Number(number) % 10 === 0 ? ['enqueue', 'retry', 'done'] : ['enqueue', 'done'],
    })
})

test('what else can happen to an item, and to a queue', async () => {
  await bed.sh('fsq install q other')
  const shell = await watch('--json')
  const queue = bed.bed.open({ root: bed.root, durability: 'none' })
  const worker = await queue.work(
    () => {
      throw new TypeError('bad')
    },
    { maxTries: 1, paused: true },
  )
  const steps = [
    ['enqueue', 'fsq enqueue -e q a'],
    ['fail', undefined],
    ['down', 'fsq down q'],
    ['redrive', 'fsq retry -a q'],
    ['gone', 'fsq rm -A a -s waiting q'],
    ['up', 'fsq up q'],
  ] as const
  for (const [index, [what, script]] of steps.entries()) {
    if (script === undefined) worker.resume()
    else expect((await bed.sh(script)).stderr).toBe('')
    await until(what, () => told(shell).length > index)
  }
  await queue.close()
  const lines = told(shell)
  expect(lines.map(({ what }) => what)).toEqual(steps.map(([what]) => what))
  expect(lines[1]).toMatchObject({ queue: 'q', args: ['a'], reason: 'exhausted', error: { message: 'bad' } })
  // A queue that is removed is watched no more, and the last one ends the watch.
  await bed.sh('fsq uninstall other')
  await until('it says so', () => shell.stderr.includes("'other' has been removed"))
  await bed.sh('fsq uninstall -f q')
  const { code, stderr } = await shell.ended
  expect({ code, stderr: stderr.trim().split('\n').at(-1) }).toEqual({
    code: 111,
    stderr: "fsq watch: the queue 'q' has been removed",
  })
})

test('hosts are watched with their queue', async () => {
  await bed.sh('fsq install -a h1 q')
  const shell = await watch('--json q')
  const people = await watch('q')
  expect(people.stderr).toContain('watching q, q/hosts/h1')
  await bed.sh('fsq -r "$FSQ_ROOT/q/hosts" enqueue -e h1 a')
  await until('it is told', () => told(shell).length > 0 && people.stdout.includes('\n'))
  expect(told(shell)).toEqual([expect.objectContaining({ queue: 'q', host: 'h1', what: 'enqueue' })])
  expect(people.stdout).toMatch(/ {2}q\/hosts\/h1 {2}enqueue {2}_/)
  await bed.sh('fsq rm-host -f h1 q')
  await until('it says so', () => shell.stderr.includes("the host 'h1' of the queue 'q' has been removed"))
  await bed.sh('fsq enqueue -e q b')
  await until(
    'the queue is still watched',
    () => told(shell).filter(({ what }) => what === 'enqueue').length === 2,
  )
})

test('lines for people are one line each, whatever the names', async () => {
  await bed.sh('fsq install q')
  const shell = await watch('q')
  const name = '_20120710213904_0_1_h_0_a\nb\u001b[31m'
  bed.plant(name)
  await until('it is told', () => shell.stdout.includes('\n'))
  fs.rmSync(bed.path('q', 'queue', name))
  await until('its end is told', () => shell.stdout.split('\n').length > 2)
  shell.process.kill('SIGINT')
  const { code, stdout } = await shell.ended
  // Ended by the signal, as other commands are.
  expect({ code, signal: shell.process.signalCode }).toEqual({ code: null, signal: 'SIGINT' })
  const line = (what: string): unknown =>
    expect.stringMatching(
      new RegExp(
        String.raw`^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}  q  ${what} +_20120710213904_0_1_h_0_a\\x0ab\\x1b\[31m$`,
      ),
    )
  expect(stdout.trimEnd().split('\n')).toEqual([line('enqueue'), line('gone')])
})

test('a reader that closes the pipe ends it without a message', async () => {
  await bed.sh('fsq install q')
  const shell = bed.start('(fsq watch -v q; echo "code $?" >&2) | head -1')
  await until('the watch has begun', () => shell.stderr.includes('watching'))
  await bed.sh('fsq enqueue -e q a')
  await until('it is told', () => shell.stdout.includes('enqueue'))
  await bed.sh('fsq enqueue -e q b')
  const { stderr } = await shell.ended
  expect(stderr).toBe('fsq watch: watching q\ncode 111\n')
})

test('a death of a worker is told', async () => {
  await bed.sh('fsq install q; fsq enqueue -e q a')
  const shell = await watch('--json q')
  const killed = bed.start(
    `exec ${process.execPath} --input-type=module -e '
      import { Queue } from "${new URL('../../dist/index.js', import.meta.url).href}"
      await new Queue("q").work(() => process.kill(process.pid, "SIGKILL"))'`,
  )
  await killed.ended
  const queue = bed.bed.open({ root: bed.root, durability: 'none' })
  await queue.work(() => undefined)
  await until('it is told', () => told(shell).some(({ what }) => what === 'crash'))
  await queue.close()
  expect(told(shell).find(({ what }) => what === 'crash')).toMatchObject({
    pid: killed.process.pid,
    together: 1,
  })
})

test.each(['EMFILE', 'ENOSPC'])(
  'a watch that the kernel refuses (%s) says which limit to raise',
  async (code) => {
    await bed.sh('fsq install q')
    const preload = bed.bed.path('no-watch.cjs')
    fs.writeFileSync(
      preload,
      `
    const fs = require('node:fs')
    const errno = -require('node:os').constants.errno.${code}
    fs.watch = () => {
      throw Object.assign(new Error('${code}: watch'), { code: '${code}', errno, syscall: 'watch' })
    }`,
    )
    const { code: exit, stderr } = await bed.sh('fsq watch q', {
      env: { NODE_OPTIONS: `--require="${preload}"` },
    })
    expect(exit).toBe(111)
    expect(stderr).toContain(`(${code}, watch`)
    expect(stderr).toContain('fs.inotify.max_user_instances or fs.inotify.max_user_watches')
  },
)

onLinux('a clock that is set back hides no end of an item and no crash', async () => {
  const item = '_20120710213904_0_1_h_0_a'
  await bed.sh('fsq install q')
  const settings = resolveSettings({ root: bed.root })
  const seen: string[] = []
  const clock = Date.now()
  let steps = 0
  // Each look at the clock finds it an hour further back.
  const now = jest.spyOn(Date, 'now').mockImplementation(() => clock - ++steps * 3_600_000)
  bed.plant(item)
  const watcher = new QueueWatcher(layoutOf('q', settings), settings, {
    onChange: ({ what }) => seen.push(what),
    onCrash: ({ worker }) => seen.push(worker),
    onDown: () => seen.push('down'),
    onRemoved: () => seen.push('removed'),
    onError: (error) => seen.push(String(error)),
  })
  try {
    fs.unlinkSync(bed.path('q', 'queue', item))
    await until('the end is told', () => seen.length > 0)
    const mark = {
      crashed: true,
      together: 1,
      try: 1,
      host: 'h',
      pid: 1,
      id: item,
      worker: 'the worker',
      since: '',
    }
    fs.mkdirSync(bed.path('q', 'meta', 'log'), { recursive: true })
    const at = new Date(Date.now()).toISOString()
    fs.writeFileSync(bed.path('q', 'meta', 'log', item), `${JSON.stringify({ at, ...mark })}\n`)
    await until('the crash is told', () => seen.length > 1)
    expect(seen).toEqual(['gone', 'the worker'])
  } finally {
    watcher.close()
    now.mockRestore()
  }
})
