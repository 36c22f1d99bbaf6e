module.exports = require('../prebuilds/darwin-arm64/fsq.node')
