/**
 * The argument of the functions that probe a directory.
 *
 * @module
 */
import path from 'node:path'

import { SettingError } from '../errors/classes.js'

/** @returns The absolute path. @throws {@link SettingError} */
export function checkedDirectory(directory: unknown): string {
  if (typeof directory === 'string' && directory !== '' && !directory.includes('\0'))
    return path.resolve(directory)
  throw new SettingError('directory', directory, 'the path of a directory, a string without NUL')
}
