/**
 * The users and groups of new items and queues.
 *
 * @module
 */
import os from 'node:os'

import { PermissionError, SettingError } from '../errors/classes.js'
import type { Failure } from '../errors/errno.js'
import { type ErrnoMeaning, fileSystemError } from '../errors/system-error.js'
import { isFailure, native } from '../addon/native.js'
import type { Settings } from '../settings.js'

/** The ids for native code; -1: unchanged. */
export interface Owner {
  readonly user: number
  readonly group: number
}

const LEAVE = -1

/**
 * The ids of the owner of new items or of new queues.
 *
 * @throws {@link SettingError} if the name of the user or group does not exist.
 */
export function ownerOf(settings: Settings, what: 'item' | 'queue'): Owner {
  const [user, group] =
    what === 'item' ? [settings.itemUser, settings.itemGroup] : [settings.queueUser, settings.queueGroup]
  return {
    user: idOf(
      user,
      `FSQ_${what.toUpperCase()}_USER`,
      (name) => native.userId(name),
      'the name of a user of this system',
    ),
    group: idOf(
      group,
      `FSQ_${what.toUpperCase()}_GROUP`,
      (name) => native.groupId(name),
      'the name of a group of this system',
    ),
  }
}

/** The meaning of a failed change of owner for a new item or queue. */
export function ownerMeaning({ errno, syscall }: Failure, what: 'item' | 'queue'): ErrnoMeaning | undefined {
  if (syscall !== 'fchown' || errno !== -os.constants.errno.EPERM) return undefined
  const [user, group] = [`FSQ_${what.toUpperCase()}_USER`, `FSQ_${what.toUpperCase()}_GROUP`]
  return [
    PermissionError,
    `Only root may give files away: leave ${user} unset, and ${group} too, or set that to a group of this process`,
  ]
}

function idOf(
  account: string | number | undefined,
  setting: string,
  find: (name: string) => ReturnType<typeof native.userId>,
  expected: string,
): number {
  if (account === undefined) return LEAVE
  if (typeof account === 'number') return account
  const id = find(account)
  if (isFailure(id)) throw fileSystemError(id, `look up ${setting}`)
  if (id === undefined) throw new SettingError(setting, account, expected, 'Or give an id as a number')
  return id
}
