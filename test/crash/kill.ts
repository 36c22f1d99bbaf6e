// Kills a child at each call that a scenario makes, and looks at what it leaves behind.
import fs from 'node:fs'
import path from 'node:path'

import { expect } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { Child, type Found, Gate, argsIn, filesOf, inParallel, isFree, workOff } from '../support/child.js'
import { NAME, contentOf, scenarios } from '../support/scenarios.mjs'

const WIDTH = 3
const CHANGING =
  /^(enqueue\.(open|write|copy|chown|chmod|utimens|link|unlink|fsyncdir)|finish\.(utimens|rename|link|unlink|fsyncdir|disown)|claim\.(complete|unlock|rename)|worker\.(guard|mkdir|own|open|write|clock|disown|unlink|rmdir)|takeover\.disown|log\.(open|chmod|write)|install\.(mkdir|marker|lock|chown|chmod|rename|fsyncroot|cleanup)|retire\.)/
const killedAt = new Set<string>()
const TAKEN = 'taken'
const DIRECTORIES = ['done', 'fail', 'queue', 'tmp']

export type ScenarioName = keyof typeof scenarios

export interface Scenario {
  readonly kind: string
  readonly faults: string
  readonly labels: readonly string[]
  readonly action?: string
  readonly runs?: boolean
  readonly options: Readonly<Record<string, unknown>>
}

export interface Call {
  readonly point: string
  /** The how-manieth at this point, from 1. */
  readonly nth: number
}

export function scenarioOf(name: ScenarioName): Scenario {
  return scenarios[name]
}

export function namesOf(...kinds: readonly string[]): ScenarioName[] {
  return (Object.keys(scenarios) as ScenarioName[]).filter((name) => kinds.includes(scenarioOf(name).kind))
}

export function labelOf(name: string): string {
  return argsIn(name)[0] ?? name
}

/** The calls of a scenario, in their order, and all points that there are. */
export async function trace(
  name: ScenarioName,
  directory: string,
): Promise<{ calls: Call[]; points: string[] }> {
  const dir = path.join(directory, 'trace')
  fs.mkdirSync(dir)
  const gate = new Gate(path.join(dir, 'gate'))
  const watching = gate.watch()
  try {
    const points = await allPoints(directory)
    const faults = Gate.faults(points, path.join(dir, 'gate'))
    const child = new Child('run-scenario.mjs', { scenario: name, dir, faults }, { faultBuild: true })
    const ending = await child.ended
    if (ending.code !== 0) throw new Error(`the trace of '${name}' failed: ${child.stderr}`)
    const counts = new Map<string, number>()
    const calls = gate.passed.map((point) => {
      const nth = (counts.get(point) ?? 0) + 1
      counts.set(point, nth)
      return { point, nth }
    })
    return { calls, points }
  } finally {
    gate.close()
    await watching
  }
}

let known: Promise<string[]> | undefined

function allPoints(directory: string): Promise<string[]> {
  known ??= (async () => {
    const dir = path.join(directory, 'points')
    fs.mkdirSync(dir)
    const child = new Child(
      'run-scenario.mjs',
      { scenario: 'install', dir, faults: '' },
      { faultBuild: true },
    )
    const { points } = await child.says('points')
    await child.ended
    return points as string[]
  })()
  return known
}

/** Kills the scenario before and after each of its calls; what it leaves must be as the standard has it. */
export async function killEverywhere(name: ScenarioName, directory: string): Promise<void> {
  const { calls } = await trace(name, directory)
  expect(calls.length).toBeGreaterThan(0)
  // Around a call that changes nothing it is as before the next one: once in a file of tests is enough.
  const cases = calls.flatMap(({ point, nth }) => {
    if (CHANGING.test(point)) return ['kill', 'kill-after'].map((action) => ({ point, nth, action }))
    const isNew = !killedAt.has(point)
    killedAt.add(point)
    return isNew ? [{ point, nth, action: 'kill' }] : []
  })
  const scenario = scenarioOf(name)
  await inParallel(cases, WIDTH, async ({ point, nth, action }) => {
    const shown = `${point}#${nth}=${action}`
    const dir = path.join(directory, shown)
    fs.mkdirSync(dir)
    const child = new Child('run-scenario.mjs', { scenario: name, dir, faults: shown }, { faultBuild: true })
    const { code, signal } = await child.ended
    try {
      // A call that a fault of the scenario itself lets fail is not made, so there is no after.
      if (action === 'kill') expect({ code, signal }).toEqual({ code: null, signal: 'SIGKILL' })
      else if (signal !== 'SIGKILL') expect(code).toBe(0)
      await verify(scenario, child, path.join(dir, 'root'))
    } catch (error) {
      throw new Error(`${name}: ${shown}: ${error instanceof Error ? error.message : String(error)}`, {
        cause: error,
      })
    }
    fs.rmSync(dir, { recursive: true })
  })
}

async function verify(scenario: Scenario, child: Child, root: string): Promise<void> {
  expect(child.stderr).toBe('')
  switch (scenario.kind) {
    case 'enqueue':
      return verifyEnqueue(scenario, child, root)
    case 'work':
      return verifyWork(scenario, child, root)
    case 'shared':
      return verifyShared(scenario, child, root)
    case 'install':
      return verifyInstall(scenario, child, root)
    default:
      return verifyUninstall(scenario, child, root)
  }
}

export function expectWhole(files: readonly Found[]): void {
  for (const { name, content, mode } of files) {
    const [label = '', size = '0'] = argsIn(name)
    if (argsIn(name).length !== 2) continue
    expect({ name, mode, whole: content.equals(contentOf(label, size)) }).toEqual({
      name,
      mode: 0o640,
      whole: true,
    })
  }
}

async function verifyEnqueue(scenario: Scenario, child: Child, root: string): Promise<void> {
  expect(fs.readdirSync(root)).toEqual([NAME])
  const queue = path.join(root, NAME)
  const visible = filesOf(queue, 'queue')
  expectWhole(visible)
  const labels = visible.map(({ name }) => labelOf(name))
  expect(new Set(labels).size).toBe(labels.length)
  expect(scenario.labels).toEqual(expect.arrayContaining(labels))
  const names = visible.map(({ name }) => name)
  const acknowledged = child.said('ack').map(({ ack }) => ack as string)
  expect(names).toEqual(expect.arrayContaining(acknowledged))
  expect(filesOf(queue, 'done')).toEqual([])
  expect(filesOf(queue, 'fail')).toEqual([])
  for (const { path: file } of filesOf(queue)) expect(isFree(file)).toBe(true)

  const { ran, contents } = await workOff(root, NAME)
  expect(ran.toSorted()).toEqual(names.toSorted())
  for (const [name, content] of contents) {
    const [label = '', size = '0'] = argsIn(name)
    expect(content.equals(contentOf(label, size))).toBe(true)
  }
  expect(
    filesOf(queue, 'done')
      .map(({ name }) => name)
      .toSorted(),
  ).toEqual(names.toSorted())
}

async function verifyWork(scenario: Scenario, child: Child, root: string): Promise<void> {
  expect(fs.readdirSync(root)).toEqual([NAME])
  const queue = path.join(root, NAME)
  const ours = (): Found[] => filesOf(queue).filter(({ content }) => content.toString() !== TAKEN)
  const taken = (): number => filesOf(queue).length - ours().length
  const before = ours()
  const takenBefore = taken()
  expectWhole(before)
  for (const { path: file } of before) expect({ file, free: isFree(file) }).toEqual({ file, free: true })
  expect(child.said('torn')).toEqual([])
  if (scenario.runs === false) expect(child.said('start')).toEqual([])

  const did = new Map(child.said('did').map(({ label, id }) => [label as string, id as string]))
  for (const label of scenario.labels) {
    const names = before.filter(({ name }) => labelOf(name) === label)
    const inodes = new Set(names.map(({ inode }) => inode))
    if (scenario.action === 'discard') expect(inodes.size).toBeLessThanOrEqual(1)
    else expect({ label, inodes: inodes.size }).toEqual({ label, inodes: 1 })
    const id = did.get(label)
    if (id !== undefined) {
      const place = { done: 'done', fail: 'fail', discard: 'tmp' }[scenario.action ?? ''] ?? 'queue'
      const found = names.map(({ where, name }) => ({ where, name }))
      expect({ label, found }).toEqual({
        label,
        found: scenario.action === 'discard' ? [] : [{ where: place, name: id }],
      })
    }
  }

  const finished = before.filter(({ where }) => where !== 'queue').map(({ name }) => labelOf(name))
  const waiting = before.filter(({ where }) => where === 'queue')
  const mostTries = new Map<string, number>()
  for (const { name } of waiting) {
    const label = labelOf(name)
    mostTries.set(label, Math.max(mostTries.get(label) ?? 0, triesIn(name)))
  }
  // On a file system without exclusive renames the next worker has none, either.
  const ran = /finish\.rename=|claim\.exclusive=/.test(scenario.faults)
    ? await workOffWithout(root)
    : (await workOff(root, NAME)).ran
  const expected = scenario.labels.filter(
    (label) => mostTries.has(label) && !finished.includes(label) && label !== '_garbage',
  )
  expect(ran.map(labelOf).toSorted()).toEqual(expected.toSorted())
  // Of two names the one that the retry was to give stays.
  for (const name of ran)
    expect({ name, tries: triesIn(name) }).toEqual({ name, tries: mostTries.get(labelOf(name)) })

  const after = ours()
  expect(taken()).toBe(takenBefore)
  for (const label of scenario.labels) {
    const ends = after.filter(({ name, where }) => labelOf(name) === label && where !== 'tmp')
    expect({ label, ends: ends.length }).toEqual({ label, ends: ends.length === 0 ? 0 : 1 })
    if (scenario.action !== 'discard') expect(ends).toHaveLength(1)
    for (const { where } of ends) expect(['done', 'fail']).toContain(where)
  }
}

/** The names of the items that dead workers have in claimed/. */
function claimedIn(queue: string): string[] {
  const claimed = path.join(queue, 'claimed')
  return fs
    .readdirSync(claimed)
    .flatMap((worker) => fs.readdirSync(path.join(claimed, worker)))
    .filter((name) => !name.startsWith('.'))
}

/** Each item is somewhere, the next worker runs those that were not finished, and no directory of a dead worker has anything left. */
async function verifyShared(scenario: Scenario, child: Child, root: string): Promise<void> {
  const queue = path.join(root, NAME)
  expect(child.said('torn')).toEqual([])
  const did = child.said('did').map(({ label }) => label as string)
  const ended = filesOf(queue)
    .filter(({ where }) => where === 'done' || where === 'fail')
    .map(({ name }) => labelOf(name))
  const waiting = [...filesOf(queue, 'queue').map(({ name }) => name), ...claimedIn(queue)].map(labelOf)
  expectWhole(filesOf(queue))
  for (const label of scenario.labels) {
    const isDiscarded = scenario.action === 'discard' && !waiting.includes(label)
    expect({ label, isThere: ended.includes(label) || waiting.includes(label) || isDiscarded }).toEqual({
      label,
      isThere: true,
    })
    if (did.includes(label) && scenario.action === 'done') expect(ended).toContain(label)
  }
  const { ran } = await workOff(root, NAME)
  const runs = ran.map(labelOf)
  const left = [...new Set(waiting)].filter((label) => !ended.includes(label))
  expect(runs.toSorted()).toEqual(left.toSorted())
  const after = filesOf(queue)
  expect(after.map(({ name }) => labelOf(name)).toSorted()).toEqual([...ended, ...left].toSorted())
  for (const { where, links } of after) expect({ where, links }).toEqual({ where: 'done', links: 1 })
  const next = new Queue(NAME, { root })
  for await (const { id } of next.scan()) expect(id).toBeUndefined()
  await next.close()
  // A take-over leaves an empty directory alone: a worker may just be making it.
  const claimed = path.join(queue, 'claimed')
  for (const worker of fs.readdirSync(claimed))
    expect([[], ['.owned']]).toContainEqual(fs.readdirSync(path.join(claimed, worker)))
}

async function workOffWithout(root: string): Promise<string[]> {
  const log = path.join(root, '..', 'log')
  const follower = new Child(
    'worker.mjs',
    { root, log, untilEmpty: true, options: { maxTries: 0 } },
    { faults: 'finish.rename=errno:22;claim.exclusive=errno:22' },
  )
  const { code } = await follower.ended
  expect({ code, error: follower.said('error'), stderr: follower.stderr }).toEqual({
    code: 0,
    error: [],
    stderr: '',
  })
  const lines = fs.readFileSync(log, 'utf8').split('\n')
  return lines.flatMap((line) => (line.startsWith('start ') ? [line.slice('start '.length)] : []))
}

function triesIn(name: string): number {
  return Number(name.split('_')[5])
}

const isHidden = (entry: string): boolean => entry.startsWith('.fsq-')

function expectComplete(queue: string, scenario: Scenario): void {
  const marker = scenario.options['lockKind'] === 'fcntl' ? ['lock-fcntl'] : []
  const isRename = scenario.options['claims'] === 'rename'
  const directories = isRename ? [...DIRECTORIES, 'claimed'] : DIRECTORIES
  const files = isRename ? ['claims-rename', 'down'] : marker
  expect(fs.readdirSync(queue).toSorted()).toEqual([...directories, ...files].toSorted())
  for (const directory of ['', ...directories])
    expect(fs.statSync(path.join(queue, directory)).mode & 0o7777).toBe(0o2770)
}

async function verifyInstall(scenario: Scenario, child: Child, root: string): Promise<void> {
  const queue = path.join(root, NAME)
  const others = fs.readdirSync(root).filter((entry) => entry !== NAME)
  expect(others.filter((entry) => !isHidden(entry))).toEqual([])
  // Its maker is dead, so a repair may have it.
  for (const entry of others) expect(isFree(path.join(root, entry))).toBe(true)
  const installed = child.said('installed').length > 0
  if (installed) expect(others).toEqual([])
  if (installed) expect(fs.existsSync(queue)).toBe(true)
  if (fs.existsSync(queue)) expectComplete(queue, scenario)
  else await Queue.install(NAME, { root }).then((handle) => handle.close())
  const old = filesOf(queue, 'queue').map(({ name }) => labelOf(name))
  expect(scenario.labels).toEqual(expect.arrayContaining(old))
  if (installed) expect(old).toEqual([])

  const handle = new Queue(NAME, { root })
  const id = await handle.enqueue('new', ['new'])
  await handle.close()
  const { ran } = await workOff(root, NAME)
  expect(ran).toContain(id)
  expect(ran).toHaveLength(old.length + 1)
}

async function verifyUninstall(scenario: Scenario, child: Child, root: string): Promise<void> {
  const queue = path.join(root, NAME)
  const others = fs.readdirSync(root).filter((entry) => entry !== NAME)
  expect(others.filter((entry) => !isHidden(entry))).toEqual([])
  const uninstalled = child.said('uninstalled').length > 0
  if (uninstalled) expect(fs.readdirSync(root)).toEqual([])
  if (!fs.existsSync(queue)) return
  // If the queue is not gone, it is there as before, and perhaps down.
  const handle = new Queue(NAME, { root })
  await handle.up()
  await handle.close()
  expectComplete(queue, scenario)
  const { ran } = await workOff(root, NAME)
  expect(ran.map(labelOf).toSorted()).toEqual(scenario.labels.toSorted())
}
