import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { faultsOf, ROOT } from '../../scripts/cross/check.mjs'
import { hostTarget, TARGETS } from '../../scripts/cross/targets.mjs'
import { native } from '../../src/native.js'

type Target = (typeof TARGETS)[number]

const BUILT = fs.readFileSync(path.join(ROOT, 'build', 'Release', 'fsq.node'))
let folder = ''

beforeEach(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'fsq-test-'))
})
afterEach(() => fs.rmSync(folder, { recursive: true, force: true }))

function target(name: string): Target {
  const found = TARGETS.find((each) => each.name === name)
  if (!found) throw new Error(`no target ${name}`)
  return found
}

/** What the gate says of `bytes` as the binary of a target. */
function judge(of: Target, bytes: Buffer): string {
  const file = path.join(folder, of.file)
  fs.mkdirSync(path.dirname(file), { recursive: true })
  fs.writeFileSync(file, bytes)
  return faultsOf(of, folder).join('\n')
}

/** `bytes` with each `from` replaced by a `to` of the same length. */
function patched(from: string, to: string): Buffer {
  expect(to).toHaveLength(from.length)
  const text = BUILT.toString('latin1')
  expect(text).toContain(from)
  return Buffer.from(text.replaceAll(from, to), 'latin1')
}

test('the addon reports the hash of its sources', () => {
  expect(native.sourceHash).toMatch(/^[0-9a-f]{64}$/)
  expect(BUILT.includes(native.sourceHash)).toBe(true)
})

test('six targets, each with a file that node-gyp-build finds', () => {
  expect(TARGETS.map(({ file }) => file).sort()).toEqual([
    'darwin-arm64/fsq.node',
    'darwin-x64/fsq.node',
    'linux-arm64/fsq.glibc.node',
    'linux-arm64/fsq.musl.node',
    'linux-x64/fsq.glibc.node',
    'linux-x64/fsq.musl.node',
  ])
})

test('a missing binary is a fault that names the command', () => {
  expect(faultsOf(target('darwin-x64'), folder)).toEqual([
    'prebuilds/darwin-x64/fsq.node is missing: npm run prebuilds -- darwin-x64',
  ])
})

const elf = BUILT.toString('latin1', 1, 4) === 'ELF' ? describe : describe.skip
elf('an ELF binary', () => {
  const host = hostTarget()
  const other = TARGETS.find(({ platform, arch }) => platform === 'linux' && arch !== process.arch)
  if (!host || !other) throw new Error('no target of this machine')

  test('of these sources is not stale, exports its init function, and is for this machine', () => {
    const faults = judge(host, BUILT)
    expect(faults).not.toMatch(/stale|export|is for machine|needs the library/)
  })

  test('of other sources is stale', () => {
    expect(judge(host, patched(native.sourceHash, 'f'.repeat(64)))).toMatch(/is stale: native\/ has changed/)
  })

  test('of another architecture is refused', () => {
    expect(judge(other, BUILT)).toMatch(/is for machine \d+, not \d+/)
  })

  test('without its init function is refused', () => {
    const bytes = patched('napi_register_module_v1', 'napi_register_module_v0')
    expect(judge(host, bytes)).toMatch(/does not export napi_register_module_v1/)
  })

  test('that needs a newer C library is refused', () => {
    const newest = /GLIBC_2\.\d+/.exec(BUILT.toString('latin1'))?.[0]
    if (!newest) return // musl
    const newer = newest.replace('2.', '9.')
    expect(judge(host, patched(newest, newer))).toMatch(`needs ${newer}, which is above the floor`)
  })

  test('that needs an unknown library is refused', () => {
    const libc = host.name.endsWith('musl') ? 'libc.musl-' : 'libc.so.6'
    const bytes = patched(libc, libc.replace('libc', 'libz'))
    expect(judge(host, bytes)).toMatch(/needs the library libz/)
  })

  test('that names the folder it was built in is refused', () => {
    const bytes = Buffer.concat([BUILT, Buffer.from(`\0${ROOT}/native/addon.cc\0`)])
    expect(judge(host, bytes)).toMatch(`it was built on: ${ROOT}/native/addon.cc`)
  })

  test('that is too large is refused', () => {
    expect(judge(host, Buffer.concat([BUILT, Buffer.alloc(250_000)]))).toMatch(/the limit is 250000/)
  })

  test('is no binary for macOS', () => {
    expect(judge(target('darwin-arm64'), BUILT)).toBe('is no Mach-O file of 64 bits')
  })
})

describe('a Mach-O binary', () => {
  /** As little of one as says what the gate asks for. */
  function machO({
    cpu = 0x0100000c,
    library = '/usr/lib/libSystem.B.dylib',
    minor = 0,
    signed = true,
  } = {}): Buffer {
    const command = (type: number, body: Buffer): Buffer => {
      const bytes = Buffer.alloc(8 + Math.ceil(body.length / 8) * 8)
      bytes.writeUInt32LE(type)
      bytes.writeUInt32LE(bytes.length, 4)
      body.copy(bytes, 8)
      return bytes
    }
    const words = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer)
    const header = words(0xfeedfacf, cpu, 0, 6, signed ? 4 : 3, 0, 0, 0)
    const before = [
      command(0x0c, Buffer.concat([words(24, 0, 0, 0), Buffer.from(`${library}\0`)])),
      command(0x32, words(1, (11 << 16) | (minor << 8), 0, 0)),
      ...(signed ? [command(0x1d, words(0, 0))] : []),
    ]
    const symbols = Buffer.concat([header, ...before]).length + 24
    return Buffer.concat([
      header,
      ...before,
      command(0x02, words(symbols, 1, symbols + 16, 32)),
      words(1, 0x0f, 0, 0),
      Buffer.from(`\0_napi_register_module_v1\0${native.sourceHash}`),
    ])
  }
  const judged = (options: Parameters<typeof machO>[0]): string =>
    judge(target('darwin-arm64'), machO(options))

  test('as it must be passes', () => {
    expect(judged({})).toBe('')
  })

  test.each([
    [{ cpu: 0x01000007 }, /is for machine 16777223/],
    [{ library: '/opt/lib/libz.dylib' }, /needs the library \/opt\/lib\/libz\.dylib/],
    [{ minor: 3 }, /needs macOS_11\.3, which is above the floor/],
    [{ signed: false }, /has no code signature/],
  ])('with %j is refused', (options, fault) => {
    expect(judged(options)).toMatch(fault)
  })
})
