// Which lock sees which, and when it is freed (on Linux): the rows of the tables in docs/locks.md, which truth-table.test.ts
// both compares with that page and tries.

export type Outcome = 'granted' | 'refused' | 'free' | 'held' | '—'

export interface Row {
  readonly flock: Outcome
  readonly fcntl: Outcome
}

/** One actor holds an exclusive lock, and then this one asks for one. */
export const SEEN = {
  'the same descriptor': { flock: 'granted', fcntl: 'granted' },
  'a copy of the descriptor (dup)': { flock: 'granted', fcntl: 'granted' },
  'another open of the file, in the same thread': { flock: 'refused', fcntl: 'refused' },
  'another open of the file, in another thread': { flock: 'refused', fcntl: 'refused' },
  'another open of the file, in another process': { flock: 'refused', fcntl: 'refused' },
  'a child process that inherited the descriptor (fork)': { flock: 'granted', fcntl: 'granted' },
  'another open, by the other kind': { flock: 'granted', fcntl: 'granted' },
  'another process, by a POSIX lock (F_SETLK, lockf)': { flock: 'granted', fcntl: 'refused' },
  'another open, for a range that overlaps': { flock: '—', fcntl: 'refused' },
  'another open, for a range that does not': { flock: '—', fcntl: 'granted' },
} as const satisfies Record<string, Row>

/** The lock was taken on a descriptor, and then this happens. */
export const FREED = {
  unlock: { flock: 'free', fcntl: 'free' },
  'unlock of a copy of the descriptor': { flock: 'free', fcntl: 'free' },
  'unlock by a child process that inherited it': { flock: 'free', fcntl: 'free' },
  'close of the descriptor': { flock: 'free', fcntl: 'free' },
  'close of one of two copies': { flock: 'held', fcntl: 'held' },
  'close of another open of the file': { flock: 'held', fcntl: 'held' },
  'exit of the process': { flock: 'free', fcntl: 'free' },
  SIGKILL: { flock: 'free', fcntl: 'free' },
  'SIGKILL, while a child process that inherited it lives': { flock: 'held', fcntl: 'held' },
  'SIGKILL, while a child process that was not given it lives': { flock: 'free', fcntl: 'free' },
  'end of the worker thread (locks on paths)': { flock: 'free', fcntl: 'free' },
} as const satisfies Record<string, Row>
