'use strict'

// The one file that loads the addon. The call below stays literal: bundlers' tracers look for exactly this form.
try {
  module.exports = require('node-gyp-build')(__dirname)
} catch (cause) {
  throw missing(cause)
}

function missing(cause) {
  const { existsSync } = require('node:fs')
  const { join } = require('node:path')
  const inClone = existsSync(join(__dirname, 'binding.gyp'))
  const command = inClone
    ? 'npm run build:addon'
    : 'npx --yes --package cmake-js@8 --package node-addon-api@8 --package node-api-headers@1 -- ' +
      `cmake-js compile --directory "${__dirname}"`
  const platform = [process.platform, process.arch, ...libc()].join(' ')
  const reason = String(cause?.message ?? cause)
    .trim()
    .split('\n')[0]
  const needs = inClone ? '' : ' (it needs a C++20 compiler, make and cmake)'
  const error = new Error(
    `fsq has no addon that loads on ${platform}, Node ${process.version}: ${reason}\n` +
      `Build it with this command${needs}: ${command}`,
    { cause },
  )
  error.code = 'ERR_FSQ_ADDON_MISSING'
  return error
}

function libc() {
  if (process.platform !== 'linux') return []
  process.report.excludeNetwork = true // else the report looks up the name of every peer
  return [process.report.getReport().header.glibcVersionRuntime ? 'glibc' : 'musl']
}
