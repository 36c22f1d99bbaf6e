/** What a 64-bit Mach-O library says of itself; undefined where the bytes are none. */
export function readMachO(bytes) {
  if (bytes.length < 32 || bytes.readUInt32LE(0) !== 0xfeedfacf) return undefined
  const text = (at) => bytes.toString('latin1', at, bytes.indexOf(0, at))
  const version = (at) => `macOS_${bytes.readUInt16LE(at + 2)}.${bytes[at + 1]}`
  const found = { machine: bytes.readUInt32LE(4), libraries: [], exports: [], versions: [], signed: false }
  let at = 32
  for (let left = bytes.readUInt32LE(16); left > 0; left--) {
    const command = bytes.readUInt32LE(at) & 0x7fffffff
    if (command === 0x0c) found.libraries.push(text(at + bytes.readUInt32LE(at + 8)))
    if (command === 0x02) found.exports.push(...exportsOf(at))
    if (command === 0x24) found.versions.push(version(at + 8)) // LC_VERSION_MIN_MACOSX
    if (command === 0x32) found.versions.push(version(at + 12)) // LC_BUILD_VERSION
    if (command === 0x1d) found.signed = true
    at += bytes.readUInt32LE(at + 4)
  }
  return found

  function exportsOf(command) {
    const [symbols, count, strings] = [8, 12, 16].map((offset) => bytes.readUInt32LE(command + offset))
    return Array.from({ length: count }, (_, index) => symbols + index * 16)
      .filter((entry) => (bytes[entry + 4] & 0x0f) === 0x0f) // defined in a section, external
      .map((entry) => text(strings + bytes.readUInt32LE(entry)).replace(/^_/, ''))
  }
}
