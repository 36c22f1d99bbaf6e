import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { faultsOf, ROOT } from '../../scripts/cross/check.mjs'
import { signatureOf, signatureSize } from '../../scripts/cross/code-signature.mjs'
import { loadCommands, readMachO } from '../../scripts/cross/macho.mjs'
import { stripMachO } from '../../scripts/cross/strip-macho.mjs'
import { hostTarget, TARGETS } from '../../scripts/cross/targets.mjs'
import { native } from '../../src/addon/native.js'
import { given } from '../support/needs.js'

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

/** The answer of the gate to `bytes` as the binary of a target. */
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

test('npm run prebuild makes binaries, and does nothing as the hook before npm run build', () => {
  const script = path.join(ROOT, 'scripts', 'cross', 'prebuild.mjs')
  const scripts = { prebuild: `node "${script}" no-target`, build: 'echo built' }
  fs.writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ private: true, scripts }))
  const npm = (...args: string[]): string => {
    const { stdout, stderr } = spawnSync('npm', ['--silent', ...args], { cwd: folder, encoding: 'utf8' })
    return stdout + stderr
  }
  expect(npm('run', 'build')).toBe('built\n')
  expect(npm('run', 'prebuild')).toMatch(/^No target no-target\. There are: linux-x64-glibc/)
})

// These tests look at the structure of an ELF file; macOS has another format.
given(BUILT.toString('latin1', 1, 4) === 'ELF').describe('an ELF binary', () => {
  const host = hostTarget()
  const other = TARGETS.find(({ platform, arch }) => platform === 'linux' && arch !== process.arch)
  if (!host || !other) throw new Error('no target of this machine')

  test('of these sources is not stale, exports its init function, and is for this machine', () => {
    const faults = judge(host, BUILT)
    expect(faults).not.toMatch(/stale|export|unloaded|is for machine|needs the library/)
  })

  test('of other sources is stale', () => {
    expect(judge(host, patched(native.sourceHash, 'f'.repeat(64)))).toMatch(/is stale: native\/ has changed/)
  })

  test('of another architecture is refused', () => {
    expect(judge(other, BUILT)).toMatch(/is for machine \d+, not \d+/)
  })

  test('that can be unloaded is refused', () => {
    const bytes = Buffer.from(BUILT)
    const flags = bytes.indexOf(Buffer.from([0xfb, 0xff, 0xff, 0x6f, 0, 0, 0, 0])) + 8 // DT_FLAGS_1
    bytes.writeUInt32LE(bytes.readUInt32LE(flags) & ~8, flags)
    expect(judge(host, bytes)).toMatch(/is unloaded with the last thread/)
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
    expect(judge(host, Buffer.concat([BUILT, Buffer.alloc(350_000)]))).toMatch(/the limit is 350000/)
  })

  test('is no binary for macOS', () => {
    expect(judge(target('darwin-arm64'), BUILT)).toBe('is no Mach-O file of 64 bits')
  })
})

describe('a Mach-O binary', () => {
  const words = (...values: number[]): Buffer => Buffer.from(Uint32Array.from(values).buffer)
  const SYMBOLS = ['_local_function', '_napi_register_module_v1', '_napi_throw']

  /**
   * As little of one as says what the gate asks for, in the order of zig's linker: a local, an exported and an undefined symbol;
   * the indirect symbols, which are the undefined, the local and the undefined one; strings; signature.
   */
  function machO({
    cpu = 0x0100000c,
    library = '/usr/lib/libSystem.B.dylib',
    minor = 0,
    signed = true,
    hash = native.sourceHash,
  } = {}): Buffer {
    const command = (type: number, body: Buffer): Buffer => {
      const bytes = Buffer.alloc(8 + Math.ceil(body.length / 8) * 8)
      bytes.writeUInt32LE(type)
      bytes.writeUInt32LE(bytes.length, 4)
      body.copy(bytes, 8)
      return bytes
    }
    const segment = (name: string, at: number, size: number): Buffer =>
      command(
        0x19,
        Buffer.concat([Buffer.from(name.padEnd(16, '\0')), words(0, 0, size, 0, at, 0, size, 0, 0, 0, 0, 0)]),
      )
    const strings = Buffer.from(`\0${SYMBOLS.join('\0')}\0`)
    const [local = 0, exported = 0, undefinedOne = 0] = SYMBOLS.map((name) => strings.indexOf(name))
    const data = Buffer.from(hash)
    const linkedit = Buffer.concat([
      words(local, 0x0e, 0, 0, exported, 0x0f, 0, 0, undefinedOne, 0x01, 0, 0),
      words(2, 0, 2),
      strings,
      Buffer.alloc(-strings.length & 3),
    ])
    const load = (start: number): Buffer[] => {
      const symbols = start + data.length
      const end = symbols + linkedit.length
      return [
        segment('__TEXT', 0, start),
        segment('__LINKEDIT', symbols, linkedit.length),
        command(0x0c, Buffer.concat([words(24, 0, 0, 0), Buffer.from(`${library}\0`)])),
        command(0x32, words(1, (11 << 16) | (minor << 8), 0, 0)),
        command(0x02, words(symbols, 3, symbols + 60, strings.length)),
        command(0x0b, words(0, 1, 1, 1, 2, 1, 0, 0, 0, 0, 0, 0, symbols + 48, 3, 0, 0, 0, 0)),
        ...(signed ? [command(0x1d, words(end, signatureSize(end, 'fsq.node')))] : []),
      ]
    }
    const start = 32 + Buffer.concat(load(0)).length
    const header = words(0xfeedfacf, cpu, 0, 6, load(0).length, start - 32, 0, 0)
    const file = Buffer.concat([header, ...load(start), data, linkedit])
    return signed ? Buffer.concat([file, signatureOf(file, 'fsq.node', start)]) : file
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
    [{ hash: 'f'.repeat(64) }, /is stale/],
  ])('with %j is refused', (options, fault) => {
    expect(judged(options)).toMatch(fault)
  })

  test('that was changed after it was signed is refused', () => {
    const bytes = machO()
    bytes.writeUInt32LE(1, 28)
    expect(judge(target('darwin-arm64'), bytes)).toMatch(/has no code signature that fits/)
  })

  test.each([true, false])('loses its local symbols, and nothing else (signed: %p)', (signed) => {
    const stripped = stripMachO(machO({ signed }), 'fsq.node')
    expect(stripped.includes('_local_function')).toBe(false)
    expect(readMachO(stripped)).toEqual(readMachO(machO({ signed })))
    const at = (wanted: number): number => {
      const [, found = 0] = loadCommands(stripped).find(([kind]) => kind === wanted) ?? []
      return found
    }
    const [symbols, count, strings] = [8, 12, 16].map((offset) => stripped.readUInt32LE(at(0x02) + offset))
    expect(count).toBe(2)
    const names = [0, 1].map((index) => {
      const name = (strings ?? 0) + stripped.readUInt32LE((symbols ?? 0) + index * 16)
      return stripped.toString('latin1', name, stripped.indexOf(0, name))
    })
    expect(names).toEqual(SYMBOLS.slice(1))
    const indirect = stripped.readUInt32LE(at(0x0b) + 56)
    expect([0, 4, 8].map((offset) => stripped.readUInt32LE(indirect + offset))).toEqual([1, 0x80000000, 1])
  })
})
