module.exports = require('../prebuilds/linux-arm64/fsq.musl.node')
