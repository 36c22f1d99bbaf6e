/**
 * Which boot of the machine it is. A worker that a reboot has ended has not died of its items.
 *
 * @module
 */
import fs from 'node:fs'

const BOOT_ID = '/proc/sys/kernel/random/boot_id'

/** `undefined`: this system does not tell. */
export const BOOT: string | undefined = readBoot()

function readBoot(): string | undefined {
  try {
    return fs.readFileSync(BOOT_ID, 'latin1').trim()
  } catch {
    return undefined
  }
}
