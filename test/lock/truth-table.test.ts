import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

import { beforeEach, describe, expect, test } from '@jest/globals'

import { type LockKind, tryLockSync } from '../../src/lock.js'
import { makeDirectory } from '../support/child.js'
import { given } from '../support/needs.js'
import { Actor, GIVEN } from './actor.js'
import { FREED, type Outcome, type Row, SEEN } from './table.js'

const KINDS = ['flock', 'fcntl'] as const
// The actor that has POSIX locks, and none of the addon's, is written in Python.
const ifPython = given(spawnSync('python3', ['-c', 'import fcntl']).status === 0)
const PAGE = path.resolve(import.meta.dirname, '../../docs/locks.md')
const SECOND = GIVEN + 1

let file: string

beforeEach(() => {
  file = path.join(makeDirectory(), 'file')
  fs.writeFileSync(file, 'some bytes')
})

/** Actors that have copies of one descriptor, which no other actor has. */
function sharing(...copies: readonly number[]): Actor[] {
  const descriptor = fs.openSync(file, 'r+')
  const actors = copies.map((count) => Actor.process(Array.from({ length: count }, () => descriptor)))
  fs.closeSync(descriptor)
  return actors
}

/** An actor with an open of its own: `fd`. */
async function opened(actor: Actor): Promise<number> {
  return Number(await actor.do('open', file))
}

async function ask(actor: Actor, fd: number, options: object): Promise<Outcome> {
  const answer = await actor.do('lock', 'asked', fd, options)
  return answer === 'granted' ? 'granted' : 'refused'
}

type Situation<Rows> = { [Name in keyof Rows]: (kind: LockKind) => Promise<Outcome> }

const sees: Situation<typeof SEEN> = {
  async 'the same descriptor'(kind) {
    const holder = Actor.process()
    const fd = await opened(holder)
    await holder.do('lock', 'held', fd, { kind })
    return ask(holder, fd, { kind })
  },
  async 'a copy of the descriptor (dup)'(kind) {
    const [holder] = sharing(2) as [Actor]
    await holder.do('lock', 'held', GIVEN, { kind })
    return ask(holder, SECOND, { kind })
  },
  async 'another open of the file, in the same thread'(kind) {
    const holder = Actor.process()
    await holder.do('lock', 'held', await opened(holder), { kind })
    return ask(holder, await opened(holder), { kind })
  },
  async 'another open of the file, in another thread'(kind) {
    const [holder, other] = [Actor.thread(), Actor.thread()]
    await holder.do('lock', 'held', await opened(holder), { kind })
    return ask(other, await opened(other), { kind })
  },
  async 'another open of the file, in another process'(kind) {
    const [holder, other] = [Actor.process(), Actor.process()]
    await holder.do('lock', 'held', await opened(holder), { kind })
    return ask(other, await opened(other), { kind })
  },
  async 'a child process that inherited the descriptor (fork)'(kind) {
    const [holder, child] = sharing(1, 1) as [Actor, Actor]
    await holder.do('lock', 'held', GIVEN, { kind })
    return ask(child, GIVEN, { kind })
  },
  async 'another open, by the other kind'(kind) {
    const holder = Actor.process()
    await holder.do('lock', 'held', await opened(holder), { kind })
    return ask(holder, await opened(holder), { kind: kind === 'flock' ? 'fcntl' : 'flock' })
  },
  async 'another process, by a POSIX lock (F_SETLK, lockf)'(kind) {
    const holder = Actor.process()
    await holder.do('lock', 'held', await opened(holder), { kind })
    const program =
      'import fcntl, sys\ntry:\n  fcntl.lockf(open(sys.argv[1], "r+"), fcntl.LOCK_EX | fcntl.LOCK_NB)\n' +
      'except BlockingIOError: print("refused")\nelse: print("granted")'
    return execFileSync('python3', ['-c', program, file], { encoding: 'utf8' }).trim() as Outcome
  },
  async 'another open, for a range that overlaps'(kind) {
    const holder = Actor.process()
    await holder.do('lock', 'held', await opened(holder), { kind, start: 10, length: 10 })
    return ask(holder, await opened(holder), { kind, start: 19, length: 1 })
  },
  async 'another open, for a range that does not'(kind) {
    const holder = Actor.process()
    await holder.do('lock', 'held', await opened(holder), { kind, start: 10, length: 10 })
    const before = await ask(holder, await opened(holder), { kind, start: 0, length: 10 })
    return before === 'granted' ? ask(holder, await opened(holder), { kind, start: 20 }) : before
  },
}

/** Whether another actor gets the lock now. */
function look(kind: LockKind): Outcome {
  const lock = tryLockSync(file, { kind })
  lock?.unlock()
  return lock === undefined ? 'held' : 'free'
}

async function holding(kind: LockKind, actor = Actor.process()): Promise<[Actor, number]> {
  const fd = await opened(actor)
  expect(await actor.do('lock', 'held', fd, { kind })).toBe('granted')
  expect(look(kind)).toBe('held')
  return [actor, fd]
}

const frees: Situation<typeof FREED> = {
  async unlock(kind) {
    const [holder, fd] = await holding(kind)
    await holder.do('unlockDescriptor', fd, { kind })
    return look(kind)
  },
  async 'unlock of a copy of the descriptor'(kind) {
    const [holder] = sharing(2) as [Actor]
    await holder.do('lock', 'held', GIVEN, { kind })
    await holder.do('unlockDescriptor', SECOND, { kind })
    return look(kind)
  },
  async 'unlock by a child process that inherited it'(kind) {
    const [holder, child] = sharing(1, 1) as [Actor, Actor]
    await holder.do('lock', 'held', GIVEN, { kind })
    await child.do('unlockDescriptor', GIVEN, { kind })
    return look(kind)
  },
  async 'close of the descriptor'(kind) {
    const [holder, fd] = await holding(kind)
    await holder.do('close', fd)
    return look(kind)
  },
  async 'close of one of two copies'(kind) {
    const [holder] = sharing(2) as [Actor]
    await holder.do('lock', 'held', GIVEN, { kind })
    await holder.do('close', GIVEN)
    return look(kind)
  },
  async 'close of another open of the file'(kind) {
    const [holder] = await holding(kind)
    await holder.do('close', await opened(holder))
    return look(kind)
  },
  async 'exit of the process'(kind) {
    const [holder] = await holding(kind)
    await holder.exit()
    return look(kind)
  },
  async SIGKILL(kind) {
    const [holder] = await holding(kind)
    await holder.kill()
    return look(kind)
  },
  async 'SIGKILL, while a child process that inherited it lives'(kind) {
    const [holder, child] = sharing(1, 1) as [Actor, Actor]
    await holder.do('lock', 'held', GIVEN, { kind })
    await holder.kill()
    const outcome = look(kind)
    expect(child.isOver).toBe(false)
    return outcome
  },
  async 'SIGKILL, while a child process that was not given it lives'(kind) {
    const [holder] = await holding(kind)
    const pid = Number(await holder.do('spawn'))
    await holder.kill()
    const outcome = look(kind)
    process.kill(pid, 'SIGKILL') // throws if it does not live
    return outcome
  },
  async 'end of the worker thread (locks on paths)'(kind) {
    const holder = Actor.thread()
    await holder.do('lock', 'held', file, { kind })
    expect(look(kind)).toBe('held')
    await holder.kill()
    return look(kind)
  },
}

function check(
  rows: Readonly<Record<string, Row>>,
  situations: Situation<Readonly<Record<string, Row>>>,
): void {
  for (const [situation, row] of Object.entries(rows)) {
    for (const kind of KINDS.filter((each) => row[each] !== '—')) {
      const run = situation.includes('POSIX') ? ifPython.test : test
      run(`${situation}: ${kind}: ${row[kind]}`, async () => {
        expect(await situations[situation]?.(kind)).toBe(row[kind])
      })
    }
  }
}

describe('callers that are refused', () => {
  check(SEEN, sees)

  test.each(KINDS)('%s: shared locks go together, and with no exclusive one', async (kind) => {
    const holder = Actor.process()
    await holder.do('lock', 'one', await opened(holder), { kind, shared: true })
    expect(await ask(holder, await opened(holder), { kind, shared: true })).toBe('granted')
    expect(await ask(holder, await opened(holder), { kind })).toBe('refused')
  })
})

describe('when it is free', () => {
  check(FREED, frees)
})

test('docs/locks.md has both tables', () => {
  const page = fs.readFileSync(PAGE, 'utf8')
  for (const rows of [SEEN, FREED]) {
    const lines = Object.entries(rows).map(
      ([situation, { flock, fcntl }]) => `| ${situation} | ${flock} | ${fcntl} |`,
    )
    expect(page).toContain(lines.join('\n'))
  }
})
