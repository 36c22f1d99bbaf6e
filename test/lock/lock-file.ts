/** A file to lock in each test, and its locks. */
import fs from 'node:fs'
import path from 'node:path'

import { afterEach, beforeEach, expect } from '@jest/globals'

import { type FileLock, tryLockSync } from '../../src/lock.js'
import { native } from '../../src/addon/native.js'
import { makeDirectory } from '../support/child.js'

export const KINDS = ['flock', 'fcntl'] as const

export let directory: string
export let file: string
export const descriptors: number[] = []

/** For each test of the file: a directory of its own, and afterwards no descriptor of {@link open} left behind. */
export function useLockFile(): void {
  beforeEach(() => {
    directory = makeDirectory()
    file = path.join(directory, 'file')
  })

  afterEach(() => {
    for (const descriptor of descriptors.splice(0)) fs.closeSync(descriptor)
    expect(native.heldClaims()).toBe(0)
  })
}

export function open(flags = 'w+'): number {
  const descriptor = fs.openSync(file, flags)
  descriptors.push(descriptor)
  return descriptor
}

/** The lock, which is there. */
export function taken(held: FileLock | undefined): FileLock {
  if (held === undefined) throw new Error('taken by another')
  return held
}

export function isFree(kind: 'flock' | 'fcntl' = 'flock'): boolean {
  const held = tryLockSync(file, { kind })
  held?.unlock()
  return held !== undefined
}

export function describeLock({ path: where, kind, start, length, shared, held }: FileLock): object {
  return { path: where, kind, start, length, shared, held }
}

export function catching(run: () => unknown): unknown {
  try {
    run()
  } catch (error) {
    return error
  }
  throw new Error('It did not fail')
}
