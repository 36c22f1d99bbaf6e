/**
 * The ad hoc signature (without an identity) of a Mach-O file, as linkers make it: a hash of each page. macOS on
 * arm64 kills a process that loads a file whose signature is missing or wrong.
 */
import { createHash } from 'node:crypto'

const SUPER_BLOB = 0xfade0cc0
const CODE_DIRECTORY = 0xfade0c02
const HEADER = 88 // of a code directory of this version
const VERSION = 0x20400
const AD_HOC_BY_LINKER = 0x20002
const PAGE_BITS = 12
const SHA_256 = { type: 2, size: 32 }

/**
 * Signs all of `bytes`. The file must already contain the length and position of the signature:
 * {@link signatureSize}.
 */
export function signatureOf(bytes, name, textSize) {
  const identifier = Buffer.from(`${name}\0`)
  const hashes = pageHashes(bytes, PAGE_BITS)
  const directory = Buffer.alloc(HEADER)
  const words = [
    CODE_DIRECTORY,
    0,
    VERSION,
    AD_HOC_BY_LINKER,
    HEADER + identifier.length,
    HEADER,
    0,
    hashes.length,
  ]
  ;[...words, bytes.length].forEach((word, index) => directory.writeUInt32BE(word, index * 4))
  directory.set([SHA_256.size, SHA_256.type, 0, PAGE_BITS], 36)
  directory.writeBigUInt64BE(BigInt(textSize), 72) // the executable part, which starts at offset 0
  const blob = Buffer.concat([directory, identifier, ...hashes])
  blob.writeUInt32BE(blob.length, 4)
  const head = Buffer.alloc(20)
  ;[SUPER_BLOB, head.length + blob.length, 1, 0, head.length].forEach((word, index) =>
    head.writeUInt32BE(word, index * 4),
  )
  return Buffer.concat([head, blob])
}

/**
 * The length of the signature for `length` bytes.
 *
 * @returns {number}
 */
export function signatureSize(length, name) {
  return 20 + HEADER + name.length + 1 + Math.ceil(length / 2 ** PAGE_BITS) * SHA_256.size
}

/** Whether there is a signature at `at` that matches all bytes before it. */
export function isSigned(bytes, at) {
  const word = (offset) => (offset + 4 <= bytes.length ? bytes.readUInt32BE(offset) : 0)
  const directory = at + word(at + 16)
  if (word(at) !== SUPER_BLOB || word(directory) !== CODE_DIRECTORY || word(directory + 32) !== at)
    return false
  if (bytes[directory + 37] !== SHA_256.type) return false
  const hashes = Buffer.concat(pageHashes(bytes.subarray(0, at), bytes[directory + 39]))
  const first = directory + word(directory + 16)
  return (
    word(directory + 28) * SHA_256.size === hashes.length &&
    hashes.equals(bytes.subarray(first, first + hashes.length))
  )
}

function pageHashes(bytes, pageBits) {
  const size = 2 ** pageBits
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, page) =>
    createHash('sha256')
      .update(bytes.subarray(page * size, (page + 1) * size))
      .digest(),
  )
}
