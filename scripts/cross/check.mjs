/**
 * The requirements for releasing a prebuilt binary: the right format, support for old enough systems, small, not
 * stale.
 */
import { existsSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

import { readElf } from './elf.mjs'
import { readMachO } from './macho.mjs'

export const ROOT = resolve(import.meta.dirname, '../..')
const SIZE_LIMIT = 350_000
const INIT = 'napi_register_module_v1'
const { sourceHash } = createRequire(import.meta.url)('../../native/source-hash.cjs')

/**
 * The reasons, as text, why the binary of `target` in `folder` must not be released; empty if it may be.
 *
 * @param anyVersions - Whether it may need newer libraries than its users have.
 */
export function faultsOf(
  target,
  folder = join(ROOT, 'prebuilds'),
  { anySize = false, anyVersions = false } = {},
) {
  const file = join(folder, target.file)
  if (!existsSync(file)) return [`prebuilds/${target.file} is missing: npm run prebuilds -- ${target.name}`]
  const bytes = readFileSync(file)
  const found = target.platform === 'darwin' ? readMachO(bytes) : readElf(bytes)
  if (!found) return [`is no ${target.platform === 'darwin' ? 'Mach-O' : 'ELF'} file of 64 bits`]

  const faults = []
  const must = (right, fault) => right || faults.push(fault)
  must(
    found.machine === target.machine,
    `is for machine ${found.machine}, not ${target.machine} (${target.arch})`,
  )
  must(found.exports.includes(INIT), `does not export ${INIT}`)
  must(
    found.signed || target.name !== 'darwin-arm64',
    'has no code signature that fits: macOS on arm64 kills a process that loads it',
  )
  must(
    found.staysLoaded || target.platform === 'darwin',
    'is unloaded with the last thread that loaded it: link it with -z nodelete',
  )
  for (const library of found.libraries)
    must(target.libraries.test(library), `needs the library ${library}, which its users may not have`)
  for (const version of found.versions)
    must(anyVersions || isWithin(version, target.versions), `needs ${version}, which is above the floor`)
  must(anySize || bytes.length <= SIZE_LIMIT, `is ${bytes.length} bytes long, the limit is ${SIZE_LIMIT}`)
  for (const path of buildPaths(bytes)) must(false, `names a path of the machine it was built on: ${path}`)
  must(bytes.includes(sourceHash()), 'is stale: native/ has changed since it was built: npm run prebuilds')
  return faults
}

/**
 * Whether `GLIBC_2.28`, for example, is within a floor of 2.28. A family of versions without a floor is never
 * allowed.
 */
function isWithin(version, floors) {
  const [family, number = ''] = version.split('_')
  const floor = floors[family]
  if (!floor) return false
  return number.localeCompare(floor, 'en', { numeric: true }) <= 0
}

function buildPaths(bytes) {
  const texts = bytes.toString('latin1').match(/[\x20-\x7e]{4,}/g) ?? []
  const home = homedir()
  const places = [ROOT, ...(home === '/' ? [] : [`${home}/`]), '/node_modules/', '/Users/', '/home/', '/tmp/']
  return texts.filter((text) => places.some((place) => text.includes(place)))
}
