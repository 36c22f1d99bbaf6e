'use strict'

// The only file that loads the addon. The call below must stay literal, because the tracers of bundlers look for
// exactly this form.
try {
  module.exports = require('node-gyp-build')(__dirname)
} catch (cause) {
  // Returned here and thrown by native.ts: Node 20 ends the process if a CommonJS module throws while it is being
  // imported.
  module.exports = missing(cause)
}

function missing(cause) {
  const reason = String(cause?.message ?? cause)
    .trim()
    .split('\n')[0]
  const problem = `fsq has no addon that loads on ${platform().join(' ')}, ${runtime()}: ${reason}\n`
  // A bundle of ES modules has no __dirname, and its require() may load nothing.
  const advice = typeof __dirname === 'string' ? (forbidden(cause) ?? howToBuild()) : howToBundle()
  const error = new Error(problem + advice, { cause })
  return Object.assign(error, { code: 'ERR_FSQ_ADDON_MISSING', problem, advice })
}

/** Says what to allow, if the binary exists but a permission is missing. */
function forbidden({ name, code, resource }) {
  if (code === 'ERR_DLOPEN_DISABLED')
    return 'Let Node load addons: --allow-addons beside --permission, no --no-addons'
  if (process.permission && !process.permission.has('fs.read', __dirname))
    return `Let Node read the package: --allow-fs-read="${__dirname}"`
  // node-gyp-build asks whether /etc/alpine-release is there.
  if (code === 'ERR_ACCESS_DENIED' && resource)
    return `Let Node read this file, too: --allow-fs-read="${resource}"`
  if (name === 'NotCapable')
    return 'Let Deno load and find the addon: --allow-ffi --allow-read --allow-env --allow-sys'
}

function howToBuild() {
  const { existsSync } = require('node:fs')
  const { join } = require('node:path')
  if (existsSync(join(__dirname, 'binding.gyp'))) return 'Build it with this command: npm run build:addon'
  if (!existsSync(join(__dirname, 'CMakeLists.txt'))) return howToBundle()
  return (
    'Build it with this command (it needs a C++20 compiler, make and cmake): npx --yes --package cmake-js@8 ' +
    '--package node-addon-api@8 --package node-api-headers@1 -- ' +
    `cmake-js compile --directory "${__dirname}"`
  )
}

function howToBundle() {
  return (
    'A bundle cannot contain the addon. Leave fsq outside of the bundle, so that it loads from node_modules, or let the ' +
    'bundler copy the addon of one platform (docs/bundling.md)'
  )
}

function platform() {
  if (process.platform !== 'linux') return [process.platform, process.arch]
  return [process.platform, process.arch, libc()]
}

function libc() {
  try {
    process.report.excludeNetwork = true // otherwise the report looks up the name of every peer
    const { glibcVersionRuntime } = process.report.getReport().header
    return glibcVersionRuntime ? `glibc ${glibcVersionRuntime}` : 'musl'
  } catch {
    return '(libc unknown)' // Deno, without the permission to read it
  }
}

function runtime() {
  const { node, bun, deno } = process.versions
  if (bun) return `Bun ${bun}`
  if (deno) return `Deno ${deno}`
  return `Node v${node}`
}
