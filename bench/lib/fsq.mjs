// By its path: bench/package.json makes this folder a package of its own, in which 'fsq' would be another.
export { Queue } from '../../dist/index.js'
