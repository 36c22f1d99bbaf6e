'use strict'

// node --require test/support/fault-build.cjs: the program loads the fault-point build in place of the release build.
// node-gyp-build prefers build/Release to anything else, so the module that would call it is filled in beforehand.
const Module = require('node:module')

const filename = require.resolve('../../binding.cjs')
const binding = new Module(filename)
binding.filename = filename
binding.exports = require(process.env.FSQ_FAULT_BUILD ?? '../../build-faults/Release/fsq.node')
binding.loaded = true
require.cache[filename] = binding
