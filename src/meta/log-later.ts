/**
 * Parts of log.ts for queues on file systems that another machine serves: each call is made beside this thread, as a file server may keep it
 * waiting.
 *
 * @module
 */
import { constants } from 'node:fs'
import fs from 'node:fs/promises'
import os from 'node:os'

import { type LogResult, isFailure, native } from '../addon/native.js'
import type { LogForm } from '../addon/packing.js'
import { BESIDE } from '../directory/calls.js'
import type { Layout } from '../directory/layout.js'
import { codeOf } from '../errors/errno.js'
import { systemError } from '../errors/system-error.js'
import type { RawName } from '../name/charset.js'
import type { MetaAccess, MetaDirectory } from './directory.js'
import { type FileOwner, SAFELY, isMissing } from './files.js'
import { crashedPath, hiddenName, isHidden, logPath, metaPath, partPath, rawLogPath } from './layout.js'
import { type LogLine, MOST_BYTES, logForm, newestHalf, parseLog, textOf } from './log.js'

const { O_CREAT, O_DIRECTORY, O_RDONLY, O_RDWR, O_TRUNC } = constants
const { ENOENT } = os.constants.errno

/** See `readLog`. */
export async function readLogLater(layout: Layout, key: RawName): Promise<readonly LogLine[]> {
  try {
    return parseLog(await fs.readFile(logPath(layout, key), { flag: O_RDONLY | SAFELY }))
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** See `loggedKeys`. */
export async function loggedKeysLater(layout: Layout): Promise<readonly RawName[]> {
  const keys: RawName[] = []
  for (const name of await namesIn(partPath(layout, 'log')))
    if (!isHidden(name) || (await BESIDE.lstat(logPath(layout, name.slice(1)))) === undefined) keys.push(name)
  return keys
}

/** See `removeLog`. */
export async function removeLogLater(layout: Layout, key: RawName): Promise<void> {
  await fs.rm(logPath(layout, key), { force: true })
  await fs.rm(crashedPath(layout, key), { force: true })
}

/** See `forgetMarks`. */
export async function forgetMarksLater(meta: MetaDirectory, key: RawName): Promise<void> {
  const { layout } = meta
  if ((await BESIDE.lstat(logPath(layout, key))) === undefined) return
  await appendLineLater(meta, key, { at: new Date().toISOString(), redriven: true })
  await fs.rm(crashedPath(layout, key), { force: true })
}

/** See `appendLine`. */
export async function appendLineLater(meta: MetaDirectory, key: RawName, line: LogLine): Promise<void> {
  let appended = await append(meta, key, line, await formOf(meta))
  if (isFailure(appended) && appended.errno === -ENOENT)
    appended = await append(meta, key, line, await makeLogs(meta))
  if (isFailure(appended)) throw systemError(appended)
  await trimLater(meta, key, appended)
}

/**
 * Makes meta/log/ and meta/crashed/, unless they are there: a client of a file server may take a directory for missing long after another machine
 * has made it. Returns how its logs are locked and made.
 */
export async function makeLogs(meta: MetaDirectory): Promise<LogForm> {
  const access = await meta.findAccess(BESIDE)
  const { layout } = meta
  for (const directory of [metaPath(layout), partPath(layout, 'log'), partPath(layout, 'crashed')])
    await makeDirectory(directory, access)
  return logForm(await meta.findLockKind(BESIDE), access)
}

/** See `trimIfLong`. */
export async function trimLater(meta: MetaDirectory, key: RawName, size: number): Promise<void> {
  if (size <= MOST_BYTES) return
  const path = logPath(meta.layout, key)
  const log = await openIfThere(path)
  if (log === undefined) return
  try {
    if ((await BESIDE.lock(log.fd, await meta.findLockKind(BESIDE), false)) !== 0) return
    const [named, locked] = await Promise.all([BESIDE.lstat(path), log.stat()])
    if (named?.ino !== locked.ino || named.dev !== locked.dev) return
    const bytes = await log.readFile()
    if (bytes.length > MOST_BYTES) await replace(meta, key, newestHalf(bytes))
  } finally {
    await log.close()
  }
}

/** The caller holds the lock of the log. */
async function replace(meta: MetaDirectory, key: RawName, bytes: Buffer): Promise<void> {
  const { fileMode, owner } = await meta.findAccess(BESIDE)
  const hidden = logPath(meta.layout, hiddenName(key))
  const made = await fs.open(hidden, O_RDWR | O_CREAT | O_TRUNC | SAFELY, fileMode)
  try {
    await adorn(made, fileMode, owner)
    await made.writeFile(bytes)
    await fs.rename(hidden, logPath(meta.layout, key))
  } catch (error) {
    await fs.rm(hidden, { force: true })
    throw error
  } finally {
    await made.close()
  }
}

async function append(
  { layout }: MetaDirectory,
  key: RawName,
  line: LogLine,
  [lock, mode, user, group]: LogForm,
): Promise<LogResult> {
  return native.appendLog(rawLogPath(layout, key), textOf(line), lock, mode, user, group)
}

async function formOf(meta: MetaDirectory): Promise<LogForm> {
  return logForm(await meta.findLockKind(BESIDE), await meta.findAccess(BESIDE))
}

/** Harmless if it exists. */
async function makeDirectory(directory: string, { directoryMode, owner }: MetaAccess): Promise<void> {
  try {
    await fs.mkdir(directory, directoryMode & 0o777)
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return
    throw error
  }
  const made = await fs.open(directory, O_RDONLY | O_DIRECTORY | SAFELY)
  try {
    await adorn(made, directoryMode, owner)
  } finally {
    await made.close()
  }
}

async function adorn(file: fs.FileHandle, mode: number, { user, group }: FileOwner): Promise<void> {
  try {
    await file.chown(user, group)
  } catch (error) {
    // Only root gives files away. Others keep the file, which is usable if its group or the mode permits.
    if (codeOf(error) !== 'EPERM') throw error
  }
  // A change of owner clears the setgid bit, so the mode comes second.
  await file.chmod(mode)
}

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await BESIDE.names(directory)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

async function openIfThere(path: Buffer): Promise<fs.FileHandle | undefined> {
  try {
    return await fs.open(path, O_RDWR | SAFELY)
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
