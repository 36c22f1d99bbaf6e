/** Reads the properties of a 64-bit little-endian ELF library; undefined if the bytes are not one. */
export function readElf(bytes) {
  if (bytes.length < 64 || bytes.toString('latin1', 0, 4) !== '\x7fELF' || bytes[4] !== 2 || bytes[5] !== 1)
    return undefined
  const number = (at) => Number(bytes.readBigUInt64LE(at))
  const sections = Array.from({ length: bytes.readUInt16LE(60) }, (_, index) => {
    const at = number(40) + index * bytes.readUInt16LE(58)
    return {
      type: bytes.readUInt32LE(at + 4),
      offset: number(at + 24),
      size: number(at + 32),
      link: bytes.readUInt32LE(at + 40),
      info: bytes.readUInt32LE(at + 44),
    }
  })
  const text = (section, at) => {
    const start = section.offset + at
    return bytes.toString('latin1', start, bytes.indexOf(0, start))
  }
  const ofType = (type) => sections.filter((section) => section.type === type)
  const entries = (section, size) =>
    Array.from({ length: section.size / size }, (_, index) => section.offset + index * size)

  const dynamics = (tag) =>
    ofType(6).flatMap((dynamic) =>
      entries(dynamic, 16)
        .filter((at) => number(at) === tag)
        .map((at) => ({ value: number(at + 8), strings: sections[dynamic.link] })),
    )
  const libraries = dynamics(1).map(({ value, strings }) => text(strings, value)) // DT_NEEDED
  const staysLoaded = dynamics(0x6ffffffb).some(({ value }) => (value & 8) !== 0) // DT_FLAGS_1, DF_1_NODELETE
  const exports = ofType(11).flatMap((symbols) =>
    entries(symbols, 24)
      .filter((at) => bytes.readUInt16LE(at + 6) !== 0 && bytes[at + 4] >> 4 !== 0) // defined, not local
      .map((at) => text(sections[symbols.link], bytes.readUInt32LE(at))),
  )
  const versions = ofType(0x6ffffffe).flatMap((needs) => {
    const found = []
    let need = needs.offset
    for (let library = 0; library < needs.info; library++) {
      let entry = need + bytes.readUInt32LE(need + 8)
      for (let left = bytes.readUInt16LE(need + 2); left > 0; left--) {
        found.push(text(sections[needs.link], bytes.readUInt32LE(entry + 8)))
        entry += bytes.readUInt32LE(entry + 12)
      }
      need += bytes.readUInt32LE(need + 12)
    }
    return found
  })
  return { machine: bytes.readUInt16LE(18), libraries, exports, versions, staysLoaded }
}
