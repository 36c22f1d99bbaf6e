/** Reads the properties of a 64-bit Mach-O library; undefined if the bytes are not one. */
import { isSigned } from './code-signature.mjs'

export function readMachO(bytes) {
  if (bytes.length < 32 || bytes.readUInt32LE(0) !== 0xfeedfacf) return undefined
  const text = (at) => bytes.toString('latin1', at, bytes.indexOf(0, at))
  const version = (at) => `macOS_${bytes.readUInt16LE(at + 2)}.${bytes[at + 1]}`
  const found = { machine: bytes.readUInt32LE(4), libraries: [], exports: [], versions: [], signed: false }
  for (const [kind, at] of loadCommands(bytes)) {
    if (kind === LOAD_DYLIB) found.libraries.push(text(at + bytes.readUInt32LE(at + 8)))
    if (kind === SYMTAB) found.exports.push(...exportsOf(at))
    if (kind === VERSION_MIN_MACOSX) found.versions.push(version(at + 8))
    if (kind === BUILD_VERSION) found.versions.push(version(at + 12))
    if (kind === CODE_SIGNATURE) found.signed = isSigned(bytes, bytes.readUInt32LE(at + 8))
  }
  return found

  function exportsOf(command) {
    const [symbols, count, strings] = [8, 12, 16].map((offset) => bytes.readUInt32LE(command + offset))
    return Array.from({ length: count }, (_, index) => symbols + index * 16)
      .filter((entry) => (bytes[entry + 4] & 0x1f) === 0x0f) // defined in a section, external, not private
      .map((entry) => text(strings + bytes.readUInt32LE(entry)).replace(/^_/, ''))
  }
}

/** The load commands, each with its kind and position. */
export function loadCommands(bytes) {
  let next = 32
  return Array.from({ length: bytes.readUInt32LE(16) }, () => {
    const at = next
    next += bytes.readUInt32LE(at + 4)
    return [bytes.readUInt32LE(at) & 0x7fffffff, at]
  })
}

export const SYMTAB = 0x02
export const DYSYMTAB = 0x0b
export const SEGMENT = 0x19
export const CODE_SIGNATURE = 0x1d
const LOAD_DYLIB = 0x0c
const VERSION_MIN_MACOSX = 0x24
const BUILD_VERSION = 0x32
