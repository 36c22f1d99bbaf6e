module.exports = require('../prebuilds/darwin-x64/fsq.node')
