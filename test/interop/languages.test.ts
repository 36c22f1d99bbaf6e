// The programs of docs/other-languages.md, on queues that they share with fsq and queue.work().
import { type ChildProcessWithoutNullStreams, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals'

import { deconstruct } from '../../src/index.js'
import { Queue } from '../../src/queue.js'
import { Child, makeDirectory, until } from '../support/child.js'
import { given } from '../support/needs.js'

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
const DIRECTORY = path.join(import.meta.dirname, 'languages')
const FSQ = path.join(PROJECT, 'dist/command/cli/main.js')
const LANGUAGES = ['sh', 'py', 'go'] as const
const ROLES = ['producer', 'worker'] as const
const BLOCKS = { sh: 'sh', py: 'python', go: 'go' } as const
const EACH = 15
const AT_FIRST = 120
const KILLS = 8
const ODD = 'a_b/c%'
// A run of an item: it says when it begins and ends, and how much it has read.
const RUN =
  'echo "start $1 $WORKER" >>"$LOG"; sleep 0.01; size=$(wc -c); echo "end $1 $WORKER $size" >>"$LOG"'

type Language = (typeof LANGUAGES)[number]
type Role = (typeof ROLES)[number]

function runs(command: string, ...args: string[]): boolean {
  return spawnSync(command, args).status === 0
}

// flock(1) and `ln -T` are those of Linux; Go is where it is installed.
const IS_THERE: Readonly<Record<Language, boolean>> = {
  sh: process.platform === 'linux' && runs('flock', '-V'),
  py: runs('python3', '--version'),
  go: runs('go', 'version'),
}
const present = LANGUAGES.filter((language) => IS_THERE[language])

const children = new Set<ChildProcessWithoutNullStreams>()
let built = ''

beforeAll(() => {
  if (!IS_THERE.go) return
  built = fs.mkdtempSync(path.join(fs.realpathSync('/tmp'), 'fsq-go-'))
  for (const role of ROLES) {
    const source = path.join(DIRECTORY, `${role}.go`)
    const { status, stderr } = spawnSync('go', ['build', '-o', path.join(built, role), source], {
      encoding: 'utf8',
    })
    if (status !== 0) throw new Error(stderr)
  }
}, 180_000)

afterAll(() => {
  if (built !== '') fs.rmSync(built, { recursive: true })
})

afterEach(async () => {
  for (const child of children) await kill(child)
})

async function kill(child: ChildProcessWithoutNullStreams): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

function start(
  language: Language,
  role: Role,
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): ChildProcessWithoutNullStreams {
  const source = path.join(DIRECTORY, `${role}.${language}`)
  const [program = '', ...first] = {
    sh: ['sh', source],
    py: ['python3', source],
    go: [path.join(built, role)],
  }[language]
  const child = spawn(program, [...first, ...args], { env: { ...process.env, ...env } })
  child.stdin.on('error', () => {})
  children.add(child)
  child.once('exit', () => children.delete(child))
  return child
}

/** Feeds a producer, and gives the name that it prints. */
async function enqueued(child: ChildProcessWithoutNullStreams, contents: string): Promise<string> {
  child.stdin.end(contents)
  const closed = once(child, 'close')
  const [out, error] = await Promise.all([text(child.stdout), text(child.stderr)])
  expect([error, await closed]).toEqual(['', [0, null]])
  return out.trimEnd()
}

/** The last lines of a worker that stops. */
async function stopped(worker: ChildProcessWithoutNullStreams): Promise<string> {
  const closed = once(worker, 'close')
  const error = await text(worker.stderr)
  expect((await closed)[0]).not.toBe(0)
  return error
}

function names(queue: Queue, directory: string): string[] {
  return fs.readdirSync(path.join(queue.path, directory))
}

function contentsOf(label: string): string {
  return `${label}\n`.repeat(3000)
}

test.each(LANGUAGES.flatMap((language) => ROLES.map((role) => [role, language] as const)))(
  'docs/other-languages.md shows %s.%s, in less than 40 lines',
  (role, language) => {
    const program = fs.readFileSync(path.join(DIRECTORY, `${role}.${language}`), 'utf8')
    const page = fs.readFileSync(path.join(PROJECT, 'docs/other-languages.md'), 'utf8')
    expect(page).toContain(`\`\`\`${BLOCKS[language]}\n${program}\`\`\`\n`)
    expect(program.trimEnd().split('\n').length).toBeLessThan(40)
  },
)

for (const language of LANGUAGES) {
  given(IS_THERE[language]).test(`a producer and a worker in ${language}`, async () => {
    await using queue = await Queue.install('q', { root: makeDirectory(), durability: 'none' })
    const args = ['', 'é', 'line\n', 'a blank', ODD]
    const id = await enqueued(start(language, 'producer', [queue.path, ...args]), 'contents')
    expect(names(queue, 'queue')).toEqual([id])
    expect(names(queue, 'tmp')).toEqual([])
    expect(deconstruct(id).args.slice(5)).toEqual(args)
    expect(fs.statSync(path.join(queue.path, 'queue', id)).mode & 0o7777).toBe(0o640)
    const bad = await queue.enqueue('bad', ['bad'])
    const delayed = await queue.enqueue('later', ['later'], { delay: 3_600_000 })
    const half = await queue.enqueue('half', ['half'])
    fs.linkSync(path.join(queue.path, 'queue', half), path.join(queue.path, 'done', half))
    const taken = await queue.enqueue('taken', ['taken'])
    fs.writeFileSync(path.join(queue.path, 'done', taken), 'another item')

    const log = path.join(queue.path, '..', 'log')
    const script = `${RUN}; case $1 in *_bad) exit 1; esac`
    const worker = start(language, 'worker', [queue.path, 'sh', '-c', script, 'run'], {
      ...{ LOG: log, WORKER: language },
    })
    await until('the others have left', () => names(queue, 'queue').length === 2)
    await queue.down()
    expect(await stopped(worker)).toContain('is down')
    expect(names(queue, 'queue').sort()).toEqual([delayed, taken].sort())
    expect(names(queue, 'done').sort()).toEqual([id, half, taken].sort())
    expect(names(queue, 'fail')).toEqual([bad])
    expect(fs.readFileSync(path.join(queue.path, 'done', taken), 'utf8')).toBe('another item')
    expect(fs.readFileSync(log, 'utf8').match(/^start/gm)).toHaveLength(2)
  })

  given(IS_THERE[language]).test(`a worker in ${language} refuses queues with other claims`, async () => {
    const root = makeDirectory()
    for (const options of [{ claims: 'rename' }, { lockKind: 'fcntl' }] as const) {
      const kind = Object.values(options)[0] ?? ''
      await using queue = await Queue.install(kind, {
        root,
        durability: 'none',
        queueMode: 0o700,
        ...options,
      })
      await enqueued(start(language, 'producer', [queue.path]), 'contents')
      expect(await stopped(start(language, 'worker', [queue.path, 'true']))).toContain('is down')
      expect((await queue.counts()).waiting).toBe(1)
    }
  })
}

given(present.length > 0).test(
  'a fleet of all languages, of which workers are killed, does each item once',
  async () => {
    const root = makeDirectory({ quick: true })
    await using queue = await Queue.install('q', { root, durability: 'none' })
    const log = path.join(root, 'log')
    fs.writeFileSync(log, '')
    const lines = (): string[] => fs.readFileSync(log, 'utf8').trimEnd().split('\n')
    const labels = Array.from({ length: AT_FIRST }, (_, index) => `first-${index}`)
    await queue.enqueueMany(labels.map((label) => ({ data: contentsOf(label), args: [ODD, label] })))

    const killed = new Set<string>()
    const ends: Promise<unknown>[] = []
    let started = 0
    const startWorker = (kind: Language | 'work'): { kind: typeof kind; id: string; kill: () => void } => {
      if (kind === 'work') {
        const options = { concurrency: 2, closeOn: ['SIGTERM'], maxCrashes: 0 }
        const child = new Child('work.mjs', {
          ...{ root, log, handler: 'quick', queue: { durability: 'none' }, options },
        })
        ends.push(child.ended)
        return { kind, id: String(child.pid), kill: () => child.kill() }
      }
      const id = `${kind}-${started++}`
      const child = start(kind, 'worker', [queue.path, 'sh', '-c', RUN, 'run'], { LOG: log, WORKER: id })
      ends.push(once(child, 'exit'))
      return { kind, id, kill: () => child.kill('SIGKILL') }
    }
    const kinds = [...present, ...present, 'work'] as const
    const fleet = kinds.map(startWorker)

    const producers = [...present, 'fsq' as const].map(async (kind) => {
      for (let index = 0; index < EACH; index++) {
        const label = `${kind}-${index}`
        labels.push(label)
        const child =
          kind === 'fsq'
            ? spawn(process.execPath, [FSQ, 'enqueue', 'q', ODD, label], {
                env: { ...process.env, FSQ_ROOT: root },
              })
            : start(kind, 'producer', [queue.path, ODD, label])
        await enqueued(child, contentsOf(label))
      }
    })
    const killer = async (): Promise<void> => {
      for (let index = 0; index < KILLS; index++) {
        const goal = lines().length + 25
        await until('more runs', () => lines().length >= goal || names(queue, 'queue').length === 0)
        const place = Math.floor(Math.random() * fleet.length)
        const victim = fleet[place]
        if (victim === undefined) continue
        killed.add(victim.id)
        victim.kill()
        fleet[place] = startWorker(victim.kind)
      }
    }
    await Promise.all([...producers, killer()])
    await until('the queue is empty', () => names(queue, 'queue').length === 0)
    fs.writeFileSync(path.join(queue.path, 'down'), '')
    for (const { kind, kill } of fleet) if (kind === 'work') kill()
    await Promise.all(ends)

    const labelOf = (name: string): string => name.slice(name.lastIndexOf('_') + 1)
    const done = names(queue, 'done')
    expect(done.map(labelOf).sort()).toEqual(labels.sort())
    expect([names(queue, 'fail'), names(queue, 'tmp')]).toEqual([[], []])
    for (const name of done) {
      expect(deconstruct(name).args.slice(5)).toEqual([ODD, labelOf(name)])
      expect(fs.readFileSync(path.join(queue.path, 'done', name), 'utf8')).toBe(contentsOf(labelOf(name)))
    }
    // An item that runs is not begun by another worker, unless its own was killed; then it may have run before.
    const last = new Map<string, { worker: string; isOver: boolean }>()
    const wrong: string[] = []
    const workers = new Set<string>()
    for (const line of lines()) {
      const [what, name = '', worker = '', size] = line.split(' ')
      const label = labelOf(name)
      const before = last.get(label)
      workers.add(worker)
      if (what === 'start' && before !== undefined && !killed.has(before.worker)) wrong.push(line)
      // The command of a killed worker keeps the lock until its end.
      if (what === 'start' && before?.isOver === false && before.worker.includes('-')) wrong.push(line)
      if (what === 'end' && before?.worker !== worker) wrong.push(line)
      if (size !== undefined && Number(size) !== contentsOf(label).length) wrong.push(line)
      last.set(label, { worker, isOver: what === 'end' })
    }
    expect(wrong).toEqual([])
    expect(last.size).toBe(labels.length)
    for (const kind of present) expect([...workers].some((id) => id.startsWith(kind))).toBe(true)
  },
)
