// Finding the files to work on.
import { isUtf8 } from 'node:buffer'
import { access, constants, readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { inspect } from 'node:util'

import { CannotRunError } from './endings.mjs'

/**
 * Finds the first `limit` regular files under a folder, in byte order of their names. Does not follow symbolic links.
 *
 * @returns Their paths, and for each reason how many files and folders were skipped.
 * @throws {CannotRunError}
 */
export async function findFiles(folder, limit) {
  await checkFolder(folder)
  const files = []
  const skipped = new Map()
  const skip = (reason) => skipped.set(reason, (skipped.get(reason) ?? 0) + 1)
  for await (const file of walk(folder, skip)) {
    files.push(file)
    if (files.length === limit) break
  }
  if (files.length > 0) return { files, skipped }
  const reasons = [...skipped].map(([reason, times]) => `${reason}: ${times}`)
  const why = reasons.length > 0 ? ` (skipped, ${reasons.join('; ')})` : ''
  throw new CannotRunError(`There is no file to work on in ${inspect(folder)}${why}`)
}

async function checkFolder(folder) {
  try {
    if (!(await stat(folder)).isDirectory()) throw new CannotRunError(`${inspect(folder)} is not a folder`)
    await access(folder, constants.R_OK | constants.X_OK)
  } catch (error) {
    if (error.code === 'ENOENT') throw new CannotRunError(`There is no folder ${inspect(folder)}`)
    if (error.code === 'EACCES')
      throw new CannotRunError(
        `You may not read the folder ${inspect(folder)}. Choose another: npm run demo -- FOLDER`,
      )
    throw error
  }
}

async function* walk(folder, skip) {
  for (const entry of await list(folder, skip)) {
    // The payload of an item is JSON here, and JSON is text.
    if (!isUtf8(entry.name)) {
      skip('the name is not UTF-8')
      continue
    }
    const file = path.join(folder, entry.name.toString())
    if (entry.isDirectory()) yield* walk(file, skip)
    if (!entry.isFile()) continue
    if (await isReadable(file)) yield file
    else skip('may not be read')
  }
}

async function list(folder, skip) {
  try {
    const entries = await readdir(folder, { withFileTypes: true, encoding: 'buffer' })
    return entries.sort((a, b) => a.name.compare(b.name))
  } catch {
    skip('may not be read')
    return []
  }
}

async function isReadable(file) {
  try {
    await access(file, constants.R_OK)
    return true
  } catch {
    return false
  }
}
