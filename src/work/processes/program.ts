/**
 * The program that child processes run: dist/worker-process.js.
 *
 * @module
 */
import { existsSync } from 'node:fs'

import { WorkerProcessError } from '../../errors/classes.js'

/**
 * @returns Its path.
 * @throws {@link WorkerProcessError} if it is not there, because the package is inside a bundle.
 */
export async function childProgram(): Promise<string> {
  // Loaded at need: most programs have no child processes.
  const { default: program } = await import('#worker-process')
  if (program !== undefined && existsSync(program)) return program
  throw new WorkerProcessError(
    'The program that worker processes run, dist/worker-process.js of the package fsq, is not inside this bundle',
    { advice: 'Leave fsq outside of the bundle, so that it loads from node_modules (docs/bundling.md)' },
  )
}
