module.exports = require('../prebuilds/linux-x64/fsq.glibc.node')
