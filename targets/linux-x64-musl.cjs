module.exports = require('../prebuilds/linux-x64/fsq.musl.node')
