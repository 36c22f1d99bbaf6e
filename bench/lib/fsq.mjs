// Imported by path: bench/package.json makes this folder a package of its own, in which 'fsq' would be another
// package.
export { Queue } from '../../dist/index.js'
