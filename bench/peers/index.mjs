import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'
import process from 'node:process'

import { bullmqPeers } from './bullmq.mjs'
import { pgBossPeers } from './pg-boss.mjs'
import { plainjobPeers } from './plainjob.mjs'
import { qlobberPeers } from './qlobber-fsq.mjs'

/** The packages of bench/package.json that are queues, with the servers that they need. */
const PACKAGES = [
  { packageName: 'plainjob', find: plainjobPeers },
  { packageName: 'qlobber-fsq', find: qlobberPeers },
  { packageName: 'bullmq', find: bullmqPeers, programs: ['redis-server'] },
  { packageName: 'pg-boss', find: pgBossPeers, programs: ['initdb', 'postgres'] },
]

/**
 * Finds the other queues that are installed.
 *
 * @returns {Promise<{ peers: object[], missing: string[] }>} `peers`: each has `{ name, durability, methods,
 * open(folder) }`, where `open` returns a store with the methods of the one in peers/fsq.mjs, or some of them.
 * `missing`: a line for each queue that is not installed.
 */
export async function findPeers(folder) {
  const peers = []
  const missing = []
  for (const { packageName, find, programs = [] } of PACKAGES) {
    const absent = programs.filter((program) => !isOnPath(program))
    try {
      const found = await find(folder)
      if (absent.length === 0) peers.push(...found)
      else missing.push(`${packageName} (no ${absent.join(', ')} on the PATH)`)
    } catch (error) {
      if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error
      missing.push(`${packageName} (npm run bench:peers)`)
    }
  }
  return { peers, missing }
}

function isOnPath(program) {
  return process.env.PATH.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}
