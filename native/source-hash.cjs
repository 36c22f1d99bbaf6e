'use strict'

// The hash of the native sources. Both builds compile it into the addon, which reports it, so that the
// release gate can recognise a prebuilt binary older than the sources. `node source-hash.cjs FILE` writes it
// as a C++ header.
const { createHash } = require('node:crypto')
const { existsSync, readFileSync, readdirSync, writeFileSync } = require('node:fs')
const { join } = require('node:path')

const [output] = process.argv.slice(2)

function sourceHash() {
  const hash = createHash('sha256')
  const names = readdirSync(__dirname, { recursive: true }).filter(
    (name) => /\.(cc|h)$/.test(name) || name === 'sources.txt',
  )
  for (const name of names.sort()) {
    const bytes = readFileSync(join(__dirname, name))
    hash.update(`${name}\0${bytes.length}\0`).update(bytes)
  }
  return hash.digest('hex')
}

if (require.main === module) {
  const header = `#define FSQ_SOURCE_HASH "${sourceHash()}"\n`
  if (!existsSync(output) || readFileSync(output, 'utf8') !== header) writeFileSync(output, header)
} else {
  module.exports = { sourceHash }
}
