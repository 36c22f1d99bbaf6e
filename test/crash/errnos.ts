// Lets each call of a scenario fail with each plausible error number, and looks at what it makes of it.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { expect } from '@jest/globals'

import { Child, type Line, filesOf, workOff } from '../support/child.js'
import { NAME } from '../support/scenarios.mjs'
import {
  type Call,
  type Scenario,
  type ScenarioName,
  expectWhole,
  labelOf,
  scenarioOf,
  trace,
} from './kill.js'

type Code = keyof typeof os.constants.errno

const OPENING: readonly Code[] = ['EACCES', 'ENOENT', 'ENOTDIR', 'ELOOP', 'EMFILE', 'ENFILE', 'EIO', 'ENOMEM']
const MAKING: readonly Code[] = ['ENOSPC', 'EDQUOT', 'EIO', 'EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOMEM']
const SYNCING: readonly Code[] = ['EIO', 'ENOSPC', 'EDQUOT', 'EROFS', 'EINVAL']
const LOOKING: readonly Code[] = ['EACCES', 'EIO', 'ENOMEM', 'ENOENT']

/** The plausible errors of each call. */
const ERRNOS: Readonly<Record<string, readonly Code[]>> = {
  'open.directory': OPENING,
  'open.fstatfs': ['EIO', 'ENOSYS', 'EOVERFLOW'],
  'list.open': OPENING,
  'list.getdents': ['EIO', 'ENOENT', 'EACCES'],
  'list.stat': LOOKING,
  'claim.kind': ['EACCES', 'EIO', 'ENOMEM'],
  'claim.access': ['EACCES', 'EIO'],
  'claim.rename': [
    'ENOENT',
    'EEXIST',
    'EPERM',
    'EACCES',
    'EIO',
    'ESTALE',
    'EINVAL',
    'ENOSYS',
    'ENOTSUP',
    'EROFS',
    'EXDEV',
  ],
  'claim.down': ['EACCES', 'EIO', 'ENOMEM'],
  'claim.look': LOOKING,
  'claim.open': [
    'ENOENT',
    'EACCES',
    'EPERM',
    'ETXTBSY',
    'ELOOP',
    'ENXIO',
    'EMFILE',
    'ENFILE',
    'EIO',
    'EROFS',
  ],
  'claim.lock': ['EAGAIN', 'ENOLCK', 'EINVAL', 'ENOSYS', 'EIO'],
  'claim.fstat': ['EIO', 'EOVERFLOW'],
  'claim.fstatat': LOOKING,
  'claim.twin': ['EIO', 'EACCES'],
  'claim.exclusive': ['EINVAL', 'ENOSYS', 'EIO'],
  'claim.complete': ['ENOENT', 'EIO', 'EROFS', 'EACCES'],
  'claim.read': ['EIO'],
  'claim.unlock': ['EIO', 'ENOLCK'],
  'look.refresh': ['EIO', 'EACCES', 'ENOSYS'],
  'enqueue.source': ['ENOENT', 'EACCES', 'EMFILE', 'ENFILE', 'EIO', 'ELOOP'],
  'enqueue.open': [...MAKING, 'EMFILE', 'ENFILE', 'ENOTSUP', 'EEXIST'],
  'enqueue.read': ['EIO', 'EBADF', 'EAGAIN'],
  'enqueue.write': ['ENOSPC', 'EDQUOT', 'EIO', 'EFBIG'],
  'enqueue.copy': ['ENOSPC', 'EDQUOT', 'EIO', 'EFBIG', 'ENOTSUP'],
  'enqueue.fstat': ['EIO', 'EOVERFLOW'],
  'enqueue.chown': ['EPERM', 'EIO', 'EROFS', 'EINVAL', 'EDQUOT'],
  'enqueue.chmod': ['EPERM', 'EIO', 'EROFS'],
  'enqueue.utimens': ['EPERM', 'EIO', 'EROFS'],
  'enqueue.delayed': ['EIO'],
  'enqueue.fsync': SYNCING,
  'enqueue.writesout': ['EIO', 'ENOSYS'],
  'enqueue.stat': LOOKING,
  'enqueue.link': [...MAKING, 'EEXIST', 'EINVAL', 'EXDEV', 'EMLINK'],
  'enqueue.unlink': ['EIO', 'EACCES', 'EBUSY', 'EROFS'],
  'enqueue.fsyncdir': SYNCING,
  // Of a queue whose claims are renames: the directory of a worker, and the take-over of a dead one's.
  'worker.guard': [...MAKING, 'EEXIST', 'EMFILE', 'ENFILE'],
  'worker.mkdir': [...MAKING, 'EEXIST', 'EMLINK'],
  'worker.chown': ['EPERM', 'EIO', 'EROFS'],
  'worker.chmod': ['EPERM', 'EIO', 'EROFS'],
  'worker.open': [...OPENING, 'EEXIST'],
  'worker.write': ['ENOSPC', 'EDQUOT', 'EIO'],
  'worker.own': [...OPENING, 'EEXIST'],
  'worker.disown': ['EIO', 'EACCES', 'EROFS', 'ENOENT'],
  'worker.clock': ['EACCES', 'EPERM', 'EROFS', 'EIO', 'ENOENT'],
  'worker.lock': ['EAGAIN', 'ENOLCK', 'EIO'],
  'worker.look': LOOKING,
  'worker.fsync': SYNCING,
  'worker.unlink': ['EIO', 'EACCES', 'EROFS', 'ENOENT'],
  'worker.rmdir': ['ENOTEMPTY', 'EIO', 'EACCES', 'EROFS', 'ENOENT'],
  'takeover.open': [...OPENING, 'EPERM', 'EROFS'],
  'takeover.lock': ['EAGAIN', 'ENOLCK', 'EIO'],
  'takeover.disown': ['EIO', 'EACCES', 'EROFS', 'ENOENT'],
  'takeover.look': LOOKING,
  'takeover.read': ['EIO', 'ESTALE'],
  'fence.read': ['EIO', 'ESTALE', 'EBADF', 'ENOMEM'],
  'item.open': OPENING,
  // Of a worker's file in meta/.
  'lock.lock': ['ENOLCK', 'EINVAL'],
  'log.open': [...MAKING, 'EMFILE', 'ENFILE', 'ELOOP', 'EEXIST'],
  'log.chown': ['EPERM', 'EIO'],
  'log.chmod': ['EPERM', 'EIO', 'EROFS'],
  'log.lock': ['EAGAIN', 'ENOLCK', 'EINVAL'],
  'log.stat': ['EIO', 'EOVERFLOW'],
  'log.look': LOOKING,
  'log.read': ['EIO'],
  'log.write': ['ENOSPC', 'EDQUOT', 'EIO', 'EFBIG'],
  'finish.utimens': ['EPERM', 'EIO', 'EROFS'],
  'finish.disown': ['EIO', 'EACCES', 'EROFS', 'ENOENT', 'ESTALE'],
  'finish.fstat': ['EIO', 'EOVERFLOW'],
  'finish.delayed': ['EIO'],
  'finish.stat': LOOKING,
  'finish.look': LOOKING,
  'finish.rename': [...MAKING, 'EXDEV', 'EBUSY', 'EINVAL', 'ENOSYS', 'ENOTSUP', 'EEXIST'],
  'finish.link': [...MAKING, 'EXDEV', 'EMLINK'],
  'finish.unlink': ['EIO', 'EACCES', 'EROFS', 'EBUSY'],
  'finish.fsyncdir': SYNCING,
  'install.openroot': ['ENOENT', 'EACCES', 'ENOTDIR', 'EMFILE', 'ENFILE', 'EIO'],
  'install.mkdir': [...MAKING, 'EEXIST', 'EMLINK'],
  'install.marker': [...MAKING, 'EEXIST', 'EMFILE', 'ENFILE'],
  'install.write': ['ENOSPC', 'EDQUOT', 'EIO', 'EFBIG'],
  'install.opendir': OPENING,
  'install.lock': ['ENOLCK', 'ENOSYS', 'EAGAIN'],
  'install.chown': ['EPERM', 'EIO', 'EROFS', 'EINVAL'],
  'install.chmod': ['EPERM', 'EIO', 'EROFS'],
  'install.fsync': SYNCING,
  'install.rename': [
    'ENOSPC',
    'EIO',
    'EACCES',
    'EROFS',
    'EXDEV',
    'EBUSY',
    'ENOTEMPTY',
    'EEXIST',
    'ENOTDIR',
    'EINVAL',
  ],
  'install.fsyncroot': SYNCING,
  'install.cleanup': ['EIO', 'EBUSY'],
  'retire.rename': ['EACCES', 'EBUSY', 'EIO', 'EROFS', 'EINVAL', 'ENOSYS', 'ENOENT'],
  'retire.fsyncroot': SYNCING,
}

/** Where a failure is not one of the operation: there is another way, or the item is skipped, or it does not matter. */
const HARMLESS: Readonly<Record<string, readonly Code[] | 'all'>> = {
  'list.open': ['ENOENT'],
  'list.getdents': ['ENOENT'],
  'list.stat': ['ENOENT'],
  'claim.look': ['ENOENT'],
  'claim.open': ['ENOENT', 'EACCES', 'EPERM', 'ETXTBSY', 'ELOOP', 'ENXIO'],
  'claim.lock': ['EAGAIN'],
  'claim.fstatat': ['ENOENT'],
  'claim.exclusive': 'all',
  'claim.complete': ['ENOENT'],
  'claim.read': 'all',
  'claim.unlock': 'all',
  'enqueue.open': ['ENOTSUP', 'EEXIST'],
  'enqueue.read': ['EAGAIN'],
  'enqueue.copy': ['ENOTSUP'],
  'enqueue.fstat': 'all',
  'enqueue.writesout': 'all',
  'enqueue.stat': ['ENOENT'],
  'enqueue.link': ['EEXIST', 'ENOENT', 'EPERM', 'EINVAL', 'EACCES'],
  'enqueue.unlink': 'all',
  'lock.lock': 'all',
  // An item whose log cannot be written moves all the same.
  ...Object.fromEntries(
    ['open', 'chown', 'chmod', 'lock', 'stat', 'look', 'read', 'write'].map(
      (call) => [`log.${call}`, 'all'] as const,
    ),
  ),
  'finish.utimens': ['EPERM'],
  'finish.rename': ['EINVAL', 'ENOSYS', 'ENOTSUP', 'EEXIST'],
  'finish.link': ['EPERM'],
  'install.mkdir': ['EEXIST'],
  'install.opendir': ['EACCES'],
  'install.rename': ['EINVAL', 'EEXIST', 'ENOTEMPTY'],
  'install.cleanup': 'all',
  // It does not matter then which file has the name.
  'finish.look': ['ENOENT'],
  'retire.rename': ['EINVAL', 'ENOSYS'],
}

/** Where there is another way for an item's file or not, by the way that it is made. */
const UNCERTAIN: Readonly<Record<string, readonly Code[]>> = {
  'enqueue.open': ['ENOTSUP', 'EMFILE', 'ENFILE', 'EEXIST'],
  'enqueue.copy': ['ENOTSUP'],
  'enqueue.link': ['ENOENT', 'EPERM', 'EINVAL', 'EACCES'],
}

/** The error number that an error reports, where it differs from the one of the call: the meaning is clear from the place. */
const TRANSLATED: Readonly<Record<string, Partial<Record<Code, Code>>>> = {
  'finish.stat': { ENOENT: 'ESTALE' },
}

/** Calls that must be made once only: one that is interrupted may have been made all the same. */
const ONCE: readonly string[] = [
  ...['enqueue.link', 'enqueue.unlink', 'finish.rename', 'finish.link', 'finish.unlink', 'claim.complete'],
  ...['install.mkdir', 'install.rename', 'install.cleanup', 'retire.rename'],
]

interface Case {
  readonly point: string
  readonly nth: number
  readonly action: 'errno' | 'errno-after'
  readonly errno: number
  readonly code: Code
}

interface Told {
  readonly name: string
  readonly code: string
  readonly errno: number
  readonly typed: boolean
  readonly message: string
}

interface Result {
  readonly number: number
  readonly outcome?: Told
  readonly said: readonly Line[]
  readonly locked: readonly string[]
  readonly claims: number
  readonly open: readonly string[]
}

function casesOf(calls: readonly Call[]): Case[] {
  return calls.flatMap(({ point, nth }) => {
    const failing = (code: Code, action: Case['action'] = 'errno'): Case => ({
      ...{ point, nth, code, action },
      errno: os.constants.errno[code],
    })
    const interrupted = [failing('EINTR'), ...(ONCE.includes(point) ? [failing('EINTR', 'errno-after')] : [])]
    return [...(ERRNOS[point] ?? []).map((code) => failing(code)), ...interrupted]
  })
}

export function isHarmless({ point, code }: { point: string; code: Code }): boolean {
  if (code === 'EINTR') return true
  const harmless = HARMLESS[point]
  return harmless === 'all' || harmless?.includes(code) === true
}

/** Lets each call of the scenario fail, once with each error number. */
export async function failEverywhere(name: ScenarioName, directory: string): Promise<void> {
  const { calls } = await trace(name, directory)
  for (const { point } of calls) expect(Object.keys(ERRNOS)).toContain(point)
  const scenario = scenarioOf(name)
  const cases = casesOf(calls)
    // A name that is no item's comes to be another one where it is taken.
    .filter(({ code }) => scenario.runs !== false || code !== 'EEXIST')
    // An answer of 'not there' to a look for an item's second name would be a lie.
    .filter(({ point, nth, code }) => point !== 'list.open' || nth === 1 || code !== 'ENOENT')
    .filter(({ point, nth, code }) => point !== 'list.getdents' || nth < 3 || code !== 'ENOENT')
  const dir = path.join(directory, 'cases')
  const child = new Child(
    'fail-scenario.mjs',
    { scenario: name, dir, cases },
    { faultBuild: true, node: ['--expose-gc'] },
  )
  const ending = await child.ended
  const wrong: string[] = []
  for (const [number, one] of cases.entries()) {
    const { point, nth, code, action } = one
    const result = child.said('number').find((line) => line['number'] === number) as Result | undefined
    try {
      if (result === undefined) throw new Error(`no result: ${JSON.stringify(ending)} ${child.stderr}`)
      await verify(name, one, result, path.join(dir, String(number), 'root'))
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error)
      wrong.push(`${name}: ${point}#${nth} ${action} ${code}: ${message}\n${JSON.stringify(result)}`)
    }
    if (result === undefined) break
  }
  if (wrong.length > 0)
    throw new Error(`${wrong.length} of ${cases.length} wrong:\n${wrong.slice(0, 8).join('\n\n')}`)
  expect({ ending, stderr: child.stderr }).toEqual({ ending: { code: 0, signal: null }, stderr: '' })
}

async function verify(name: ScenarioName, one: Case, result: Result, root: string): Promise<void> {
  const scenario = scenarioOf(name)
  const { outcome, said, locked, claims, open } = result
  expect({ locked, claims, open }).toEqual({ locked: [], claims: 0, open: [] })
  const unfinished = said.flatMap((line) => ('unfinished' in line ? [line] : []))
  const errors = [
    ...(outcome === undefined ? [] : [outcome]),
    ...unfinished.map((line) => line['unfinished'] as Told),
  ]
  for (const error of errors) {
    expect(error.typed).toBe(true)
    expect(error.code).toMatch(/^ERR_FSQ/)
    // Where there is another way, a fault of the scenario may let that fail, too.
    const hasOtherWay =
      one.point === 'install.rename' ||
      (one.point === 'finish.link' && one.code === 'EPERM') ||
      UNCERTAIN[one.point]?.includes(one.code) === true
    if (!hasOtherWay)
      expect(error.errno).toBe(-os.constants.errno[TRANSLATED[one.point]?.[one.code] ?? one.code])
  }
  for (const line of unfinished)
    expect(line).toMatchObject({ held: true, unfinished: { code: 'ERR_FSQ_FINISH' } })
  // Whether there is another way depends on which of several calls of this point it is.
  // An item that must not run is reported, not thrown.
  const isReported = scenario.runs === false && /^(finish|claim\.unlock)/.test(one.point)
  if (isReported && !isHarmless(one) && one.code !== 'ENOENT')
    expect(said).toContainEqual({ report: 'unmovable' })
  const isCertain =
    one.code === 'EINTR'
      ? !scenario.faults.includes(one.point)
      : !isReported &&
        !['install.rename', 'finish.unlink', 'finish.link'].includes(one.point) &&
        !(one.point === 'finish.rename' && one.nth > 1) &&
        // Claiming ahead gives way.
        !(one.point === 'claim.open' && one.nth > 1 && ['EMFILE', 'ENFILE'].includes(one.code)) &&
        !(name !== 'enqueue bytes' && UNCERTAIN[one.point]?.includes(one.code) === true)
  if (isHarmless(one) && isCertain) expect(errors).toEqual([])
  if (!isHarmless(one) && isCertain) expect(errors.length).toBeGreaterThan(0)
  switch (scenario.kind) {
    case 'enqueue':
      return verifyEnqueue(one, result, root)
    case 'work':
      return verifyWork(scenario, one, result, root)
    case 'install':
      return verifyInstall(one, result, root)
    default:
      return verifyUninstall(scenario, one, result, root)
  }
}

async function verifyEnqueue(one: Case, { outcome, said }: Result, root: string): Promise<void> {
  expect(fs.readdirSync(root)).toEqual([NAME])
  const files = filesOf(path.join(root, NAME))
  const inQueue = files.filter(({ where }) => where === 'queue')
  expect(files).toHaveLength(inQueue.length)
  expectWhole(inQueue)
  const acknowledged = said.flatMap((line) => ('ack' in line ? [line['ack']] : []))
  const undurable = said.flatMap((line) => ('undurable' in line ? [line['undurable']] : []))
  expect([...acknowledged, ...undurable].toSorted()).toEqual(inQueue.map(({ name }) => name).toSorted())
  const isSync = one.point === 'enqueue.fsyncdir' && one.code !== 'EINTR'
  expect(undurable.length > 0).toBe(isSync)
  if (isSync) expect(['ERR_FSQ_NOT_DURABLE', 'ERR_FSQ_ENQUEUE_MANY']).toContain(outcome?.code)
}

async function verifyWork(
  scenario: Scenario,
  one: Case,
  { outcome, said }: Result,
  root: string,
): Promise<void> {
  const ours = filesOf(path.join(root, NAME)).filter(({ content }) => content.toString() !== 'taken')
  expectWhole(ours)
  expect(ours.filter(({ where }) => where === 'tmp')).toEqual([])
  const did = said.flatMap((line) => ('did' in line ? [line['label'] as string] : []))
  const started = said.flatMap((line) => ('start' in line ? [line['start'] as string] : []))
  if (scenario.runs === false) expect(started).toEqual([])
  if (one.point === 'finish.fsyncdir' && one.code !== 'EINTR') {
    expect(outcome?.code).toBe('ERR_FSQ_NOT_DURABLE')
    expect(ours.filter(({ where }) => where === 'queue').length).toBe(scenario.action === 'retry' ? 1 : 0)
  }
  for (const label of scenario.labels) {
    const names = ours.filter(({ name, where }) => labelOf(name) === label && where !== 'tmp')
    const isGone = scenario.action === 'discard' && (did.includes(label) || one.point === 'finish.fsyncdir')
    expect(new Set(names.map(({ inode }) => inode)).size).toBe(isGone ? 0 : 1)
  }
  // One failure loses no item: those that have not run run now. (Without exclusive renames: see the tests that kill.)
  if (scenario.faults.includes('claim.exclusive')) return
  const { ran } = await workOff(root, NAME)
  if (scenario.action === 'retry' || scenario.action === 'release') return
  for (const label of ran.map(labelOf)) expect(did).not.toContain(label)
}

async function verifyInstall(one: Case, { outcome, said }: Result, root: string): Promise<void> {
  const isInstalled = said.some((line) => 'installed' in line)
  const entries = fs.readdirSync(root)
  expect(entries.filter((entry) => entry !== NAME)).toEqual([])
  expect(isInstalled).toBe(outcome === undefined)
  if (one.point === 'install.fsyncroot' && outcome !== undefined) {
    expect(outcome.code).toBe('ERR_FSQ_NOT_DURABLE')
    expect(entries).toEqual([NAME])
  }
  if (entries.length > 0) await workOff(root, NAME)
}

async function verifyUninstall(
  scenario: Scenario,
  one: Case,
  { outcome }: Result,
  root: string,
): Promise<void> {
  const entries = fs.readdirSync(root)
  if (outcome === undefined || one.point === 'retire.fsyncroot') expect(entries).toEqual([])
  if (entries.length === 0) return
  expect(entries).toEqual([NAME])
  // As it was, and not down.
  const { ran } = await workOff(root, NAME)
  expect(ran.map(labelOf).toSorted()).toEqual(scenario.labels.toSorted())
}
