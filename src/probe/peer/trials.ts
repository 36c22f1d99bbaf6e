/**
 * What two processes on different machines try with each other. The side `a` leads: it decides how many rounds there are.
 *
 * @module
 */
import fs, { constants } from 'node:fs'
import os from 'node:os'
import { setTimeout as later } from 'node:timers/promises'

import { type LockKind, isFailure, native } from '../../addon/native.js'
import { type Failure, codeOf, describeErrno } from '../../errors/errno.js'
import { systemError } from '../../errors/system-error.js'
import type { Feature } from '../promises.js'
import { type Held, tryLock } from './lock-attempt.js'
import { type Session, type Side, makeFile } from './session.js'

const { link, lstat, mkdir, open, readdir, rename, stat, utimes } = fs.promises

const { EAGAIN } = os.constants.errno
const NO_EFFECT = 'no effect'
const SIDES: readonly Side[] = ['a', 'b']
const BUDGET_MS = 1_000
const MOST_PINGS = 20
const MOST_ROUNDS = 5
const NAMES_A_ROUND = 4
const RACES = 30
const RACE_LEAD_MS = 50
const UNLOCK_MS = 2_000
const DELAY_S = 3_600
const KEPT_WITHIN_S = 2
// The kernel stamps files with a time that is up to one tick old.
const TICK_MS = 10

/** The directories that the trials need in the session. */
export const DIRECTORIES = ['names', 'moved', 'race', 'won-a', 'won-b', 'taken'] as const

/** The clocks of the two machines, in milliseconds. */
export interface PeerClocks {
  /** How far the clock of this machine is ahead of the other's. */
  readonly apart: number
  /** How far off `apart` can be. */
  readonly uncertainty: number
  /**
   * How far the time of a file that this machine makes is ahead of the time of one that the other machine makes at the same moment. Near 0
   * where the server stamps files; near `apart` where each machine does.
   */
  readonly stampsApart: number
  /** How far off `stampsApart` can be. */
  readonly stampsUncertainty: number
}

/** After how many milliseconds a machine sees a new file of the other. */
export interface PeerSight {
  readonly median: number
  readonly most: number
}

/** How often a look at a name was fooled by a cache, after the other process had moved its file. */
export interface PeerNames {
  /** How many names were looked at. */
  readonly looks: number
  /** A plain look still found the file. */
  readonly stale: number
  /** A look still found the file after the directory was opened again, which asks the server. */
  readonly staleAfterAsking: number
  /** A rename of the file under its old name succeeded. */
  readonly renamed: number
}

/** Renames of one name that both processes made at a time. */
export interface PeerRenames {
  readonly races: number
  /** Both have succeeded. */
  readonly twice: number
  /** Neither has succeeded. */
  readonly lost: number
}

/** Whether a name that the other process has made is refused as the target of a move. */
export interface PeerTargets {
  readonly link: Feature
  readonly renameNoReplace: Feature
}

/** Compares the clocks, and measures how soon a new file is seen. */
export async function compareClocks(session: Session): Promise<readonly [PeerClocks, PeerSight]> {
  const [apart, uncertainty, sight] = session.side === 'a' ? await ping(session) : await pong(session)
  const before = Date.now()
  const directory = session.path(`stamp-${session.side}`)
  await mkdir(directory)
  const { ctimeMs } = await stat(directory)
  const after = Date.now()
  const mine = ctimeMs - (before + after) / 2
  await session.say('stamped', mine, after - before)
  const [, theirs, trip] = await session.hear('stamped')
  const clocks = {
    apart,
    uncertainty,
    stampsApart: mine - Number(theirs) + apart,
    stampsUncertainty: uncertainty + (after - before + Number(trip)) / 2 + TICK_MS,
  }
  return [clocks, sight]
}

type Compared = readonly [apart: number, uncertainty: number, sight: PeerSight]

async function ping(session: Session): Promise<Compared> {
  const end = Date.now() + BUDGET_MS
  const rounds: { readonly apart: number; readonly trip: number }[] = []
  do {
    const before = Date.now()
    await session.say('ping')
    const [, theirs] = await session.hear('pong')
    const after = Date.now()
    rounds.push({ apart: (before + after) / 2 - Number(theirs), trip: after - before })
  } while (rounds.length < MOST_PINGS && Date.now() < end)
  // The shortest trip leaves the least room for an error.
  rounds.sort((one, other) => one.trip - other.trip)
  const half = (at: number): number => (rounds.at(at)?.trip ?? 0) / 2
  const sight = { median: half(Math.floor(rounds.length / 2)), most: half(-1) }
  const apart = rounds[0]?.apart ?? 0
  await session.say('clocks', apart, half(0), sight.median, sight.most)
  return [apart, half(0), sight]
}

async function pong(session: Session): Promise<Compared> {
  for (;;) {
    const [word, ...values] = await session.hear('ping', 'clocks')
    if (word === 'ping') await session.say('pong', Date.now())
    else {
      const [apart = 0, uncertainty = 0, median = 0, most = 0] = values.map(Number)
      return [-apart, uncertainty, { median, most }]
    }
  }
}

/** Whether a lock of this kind excludes the other process, in both directions, and is free after its end. */
export async function tryLocks(session: Session, kind: LockKind): Promise<Feature> {
  const file = session.path(`lock-${kind}`)
  let works = featureOf('')
  for (const holder of SIDES) {
    const isHolder = holder === session.side
    const reason = isHolder ? await holdLock(session, file, kind) : await askForLock(session, file, kind)
    works = bothOf(works, featureOf(reason))
  }
  return works
}

/** @returns Why the lock does not work; empty: it does. */
async function holdLock(session: Session, file: string, kind: LockKind): Promise<string> {
  const held = await tryLock(file, kind)
  if (isFailure(held)) {
    const [code] = describeErrno(held.errno)
    await session.say('failed', code)
    return code
  }
  await session.say('held')
  const [, refused = ''] = await session.hear('asked')
  await held.unlock()
  if (refused !== 'EAGAIN') return refused
  await session.say('free')
  const [, reason = ''] = await session.hear('asked')
  return reason
}

async function askForLock(session: Session, file: string, kind: LockKind): Promise<string> {
  const [word, code = ''] = await session.hear('held', 'failed')
  if (word === 'failed') return code
  const outcome = (await outcomeOf(tryLock(file, kind))) || NO_EFFECT
  await session.say('asked', outcome)
  if (outcome !== 'EAGAIN') return outcome
  await session.hear('free')
  const end = Date.now() + UNLOCK_MS
  const freed = await session.until(async () => {
    const again = await outcomeOf(tryLock(file, kind))
    return again === 'EAGAIN' && Date.now() < end ? undefined : again
  })
  await session.say('asked', freed)
  return freed
}

/** The error of a try to lock; empty: it succeeded, and the lock is free again. */
async function outcomeOf(attempt: Promise<Held | Failure>): Promise<string> {
  const held = await attempt
  if (isFailure(held)) return describeErrno(held.errno)[0]
  await held.unlock()
  return ''
}

/**
 * Looks at names that this process knows after the other one has moved their files, and has released a lock.
 *
 * @param kind - A kind of lock that works; `undefined`: none does, and a message takes its place.
 */
export async function lookAtNames(session: Session, kind: LockKind | undefined): Promise<PeerNames> {
  const total = { looks: 0, stale: 0, staleAfterAsking: 0, renamed: 0 }
  for (const mover of SIDES) {
    const counts = mover === session.side ? await moveNames(session, kind) : await watchNames(session, kind)
    for (const [looks, stale, staleAfterAsking, renamed] of counts) {
      total.looks += looks
      total.stale += stale
      total.staleAfterAsking += staleAfterAsking
      total.renamed += renamed
    }
  }
  return total
}

type Counts = readonly [looks: number, stale: number, staleAfterAsking: number, renamed: number]

function namesOf(session: Session, mover: Side, round: number, directory: string): readonly string[] {
  return Array.from({ length: NAMES_A_ROUND }, (_, at) => session.path(directory, `${mover}-${round}-${at}`))
}

async function moveNames(session: Session, kind: LockKind | undefined): Promise<readonly Counts[]> {
  const end = Date.now() + BUDGET_MS
  const counts: Counts[] = []
  for (let round = 0; round < MOST_ROUNDS && (round === 0 || Date.now() < end); round++) {
    const names = namesOf(session, session.side, round, 'names')
    for (const name of names) await makeFile(name)
    const lock = kind && (await takeHandover(session, kind))
    await session.say('made')
    await session.hear('seen')
    for (const [at, moved] of namesOf(session, session.side, round, 'moved').entries())
      await rename(names[at] ?? '', moved)
    if (lock === undefined) await session.say('moved')
    else await lock.unlock()
    const [, ...values] = await session.hear('looked')
    const [stale = 0, staleAfterAsking = 0, renamed = 0] = values.map(Number)
    counts.push([names.length, stale, staleAfterAsking, renamed])
  }
  await session.say('over')
  return counts
}

async function watchNames(session: Session, kind: LockKind | undefined): Promise<readonly Counts[]> {
  const counts: Counts[] = []
  for (let round = 0; ; round++) {
    const [word] = await session.hear('made', 'over')
    if (word === 'over') return counts
    const names = namesOf(session, session.other, round, 'names')
    // From here on this machine knows the names.
    await countWhere(names, async (name) => lstat(name))
    await session.say('seen')
    const lock = kind && (await takeHandover(session, kind))
    if (lock === undefined) await session.hear('moved')
    const stale = await countWhere(names, async (name) => lstat(name))
    const directory = await open(session.path('names'), constants.O_RDONLY | constants.O_DIRECTORY)
    await directory.close()
    const staleAfterAsking = await countWhere(names, async (name) => lstat(name))
    const renamed = await countWhere(names, async (name) => rename(name, `${name}-again`))
    await lock?.unlock()
    await session.say('looked', stale, staleAfterAsking, renamed)
    counts.push([names.length, stale, staleAfterAsking, renamed])
  }
}

/** Takes the lock that says when the names have moved. */
async function takeHandover(session: Session, kind: LockKind): Promise<Held> {
  const file = session.path('handover')
  const held = await session.until(async () => {
    const outcome = await tryLock(file, kind)
    return isFailure(outcome) && outcome.errno === -EAGAIN ? undefined : outcome
  })
  if (isFailure(held)) throw systemError({ ...held, path: file })
  return held
}

/** For how many of the names the call finds a file. */
async function countWhere(
  names: readonly string[],
  call: (name: string) => Promise<unknown>,
): Promise<number> {
  let count = 0
  for (const name of names) {
    try {
      await call(name)
      count++
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' && codeOf(error) !== 'ESTALE') throw error
    }
  }
  return count
}

/** Both processes rename the same names at a time, each into a directory of its own. */
export async function raceRenames(
  session: Session,
  { apart }: PeerClocks,
  { most }: PeerSight,
): Promise<PeerRenames> {
  const names = Array.from({ length: RACES }, (_, at) => `${at}`)
  if (session.side === 'a') {
    for (const name of names) await makeFile(session.path('race', name))
    const start = Date.now() + RACE_LEAD_MS + 2 * most
    await session.say('start', start)
    await sleepUntil(start)
  } else {
    const [, start] = await session.hear('start')
    await sleepUntil(Number(start) + apart)
  }
  const won = session.path(`won-${session.side}`)
  for (const name of names) await codeFrom(rename(session.path('race', name), `${won}/${name}`))
  // What counts is where the files are: a rename can be made although it is reported as failed.
  const mine = await readdir(won)
  await session.say('won', ...mine)
  const [, ...theirs] = await session.hear('won')
  return {
    races: names.length,
    twice: mine.filter((name) => theirs.includes(name)).length,
    lost: names.filter((name) => !mine.includes(name) && !theirs.includes(name)).length,
  }
}

async function sleepUntil(time: number): Promise<void> {
  await later(Math.max(0, time - Date.now()))
}

/** Tries to replace names that the other process has made, after this one has seen that they are free. */
export async function tryTargets(session: Session): Promise<PeerTargets> {
  const results = { link: featureOf(''), renameNoReplace: featureOf('') }
  for (const mover of SIDES) {
    const names = [`${mover}-linked`, `${mover}-renamed`] as const
    const found = mover === session.side ? await moveOnto(session, ...names) : await takeNames(session, names)
    results.link = bothOf(results.link, found.link)
    results.renameNoReplace = bothOf(results.renameNoReplace, found.renameNoReplace)
  }
  return results
}

async function takeNames(session: Session, names: readonly string[]): Promise<PeerTargets> {
  await session.hear('free')
  for (const name of names) await makeFile(session.path('taken', name))
  await session.say('taken')
  const [, link_ = '', rename_ = ''] = await session.hear('tried')
  return { link: featureOf(link_), renameNoReplace: featureOf(rename_) }
}

async function moveOnto(session: Session, linked: string, renamed: string): Promise<PeerTargets> {
  const directory = session.path('taken')
  const source = `${session.side}-source`
  await makeFile(session.path('taken', source))
  await countWhere([linked, renamed], async (name) => lstat(session.path('taken', name)))
  await session.say('free')
  await session.hear('taken')
  const link_ = refusal(await codeFrom(link(session.path('taken', source), session.path('taken', linked))))
  const rename_ = refusal(await relocate(directory, source, renamed))
  await session.say('tried', link_, rename_)
  return { link: featureOf(link_), renameNoReplace: featureOf(rename_) }
}

async function relocate(directory: string, from: string, to: string): Promise<string> {
  const failure = await native.relocate(directory, from, to, true)
  return failure === undefined || failure.moved ? '' : describeErrno(failure.errno)[0]
}

/** Whether the other process sees a modification time of this one that is in the future, and the reverse. */
export async function tryDelays(session: Session): Promise<Feature> {
  const due = Math.floor(Date.now() / 1000) + DELAY_S
  const file = session.path(`late-${session.side}`)
  await makeFile(file)
  await utimes(file, due, due)
  await session.say('late', due)
  const [, theirs] = await session.hear('late')
  const { mtimeMs, ctimeMs } = await lstat(session.path(`late-${session.other}`))
  const isKept = mtimeMs > ctimeMs && Math.abs(mtimeMs / 1000 - Number(theirs)) <= KEPT_WITHIN_S
  await session.say('seen', isKept ? '' : NO_EFFECT)
  const [, reason = ''] = await session.hear('seen')
  return featureOf(isKept ? reason : NO_EFFECT)
}

/** Tells the other process a value, without `_` and `/`, and hears its own. */
export async function exchange(session: Session, value: string | number): Promise<string> {
  await session.say('has', value)
  const [, theirs = ''] = await session.hear('has')
  return theirs
}

/** Why a name that exists was not refused with EEXIST; empty: it was. */
function refusal(code: string): string {
  if (code === 'EEXIST') return ''
  return code === '' ? NO_EFFECT : code
}

/** The name of the error of a call; empty: it succeeded. */
async function codeFrom(call: Promise<unknown>): Promise<string> {
  try {
    await call
    return ''
  } catch (error) {
    return codeOf(error) ?? String(error)
  }
}

function featureOf(reason: string): Feature {
  return reason === '' ? { works: true } : { works: false, reason }
}

function bothOf(one: Feature, other: Feature): Feature {
  return one.works ? other : one
}
