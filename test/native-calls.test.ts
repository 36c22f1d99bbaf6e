// A signal can interrupt any call of native/, so each one is repeated: by FSQ_CALL, RetryInterrupted or RetryUnlessMade.
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

const NATIVE = path.join(import.meta.dirname, '..', 'native')
const REPEATS = ['FSQ_CALL', 'FSQ_CALL_ONCE', 'RetryInterrupted', 'RetryUnlessMade']
// Calls that must not be made twice.
const ONCE = /^(link|linkat|rename|renameat|mkdir|mkdirat|mkfifo)$/
const REPEATS_ONCE = ['FSQ_CALL_ONCE', 'RetryUnlessMade']

// close(2) is never repeated: the descriptor is gone already. Others answer no EINTR, or touch no file.
const NEVER_INTERRUPTED =
  /^(close|closedir|fdopendir|readdir|dlopen|dladdr|arc4random_buf|mmap|munmap|get\w+|pthread_\w+|sched_yield|nanosleep|clock_gettime|\w*time(_r)?|timegm)$/
// The callers of LinkUnnamed, RenameExclusive, RenameExchange or OpenBriefly repeat them, so does Mover::Rename with what it is given, and a FIFO
// that is there already is no failure.
const REPEATED_BY_CALLER: readonly string[] = [
  'platform_linux.cc: linkat',
  'platform_linux.cc: openat',
  'platform_darwin.cc: openat',
  'platform_linux.cc: syscall',
  'platform_darwin.cc: renameatx_np',
  'finish.cc: renameat',
  'watch_bindings.cc: mkfifo',
]

/** The functions and macros in whose parentheses the position is, the outermost first. */
function callsAround(source: string, end: number): string[] {
  const around: string[] = []
  for (const { 0: text, index } of source.slice(0, end).matchAll(/[()]/g)) {
    if (text === '(') around.push(/\w*$/.exec(source.slice(0, index))?.[0] ?? '')
    else around.pop()
  }
  return around
}

test('each call that a signal can interrupt is repeated, and none is made twice that must be made once', () => {
  const files = fs.readdirSync(NATIVE, { recursive: true, encoding: 'utf8' })
  const wrong: string[] = []
  for (const file of files.filter(
    (name) => /\.(cc|h)$/.test(name) && !path.basename(name).startsWith('fault_point'),
  )) {
    const source = fs
      .readFileSync(path.join(NATIVE, file), 'utf8')
      .replace(/\/\/.*|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])'/g, '')
    for (const { 1: name = '', index } of source.matchAll(/(?<![\w>])::([a-z_0-9]+)\(/g)) {
      const shown = `${path.basename(file)}: ${name}`
      if (NEVER_INTERRUPTED.test(name) || REPEATED_BY_CALLER.includes(shown)) continue
      const repeats = ONCE.test(name) ? REPEATS_ONCE : REPEATS
      if (!callsAround(source, index).some((call) => repeats.includes(call))) wrong.push(shown)
    }
  }
  expect(wrong).toEqual([])
})
