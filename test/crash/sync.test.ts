// How contents are made durable: by what is known of the file system, or by plain fsync (FSQ_SYNC).
import os from 'node:os'

import { expect, test } from '@jest/globals'

import { Child, makeDirectory } from '../support/child.js'

const { EIO } = os.constants.errno

async function syscallThatFails(writesOut: 0 | 1, sync: string): Promise<string> {
  const faults = `enqueue.writesout=answer:${writesOut};enqueue.fsync#1=errno:${EIO}`
  const job = { scenario: 'enqueue bytes', dir: makeDirectory(), faults }
  const child = new Child('run-scenario.mjs', job, { faultBuild: true, env: { FSQ_SYNC: sync } })
  expect(await child.ended).toEqual({ code: 0, signal: null })
  const [{ error }] = child.said('error') as unknown as [{ error: { message: string } }]
  return /\(EIO, (\w+)/.exec(error.message)?.[1] ?? error.message
}

test.each([
  [1, 'auto', 'sync_file_range'],
  [0, 'auto', 'fsync'],
  [1, 'plain', 'fsync'],
] as const)('a file system that writes out: %i, FSQ_SYNC=%s: %s', async (writesOut, sync, syscall) => {
  expect(await syscallThatFails(writesOut, sync)).toBe(syscall)
})
