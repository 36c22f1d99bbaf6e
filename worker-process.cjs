'use strict'

// The path of the program that child processes of `queue.work(url, { processes })` run. A bundle has no such file beside it; a bundle of
// ES modules does not even have a __dirname.
module.exports =
  typeof __dirname === 'string' ? require('node:path').join(__dirname, 'dist/worker-process.js') : undefined
