// Runs one scenario under the faults it is given: { scenario, dir, faults }.
import fs from 'node:fs'
import path from 'node:path'

import { Queue, FsqError } from '../../dist/index.js'
import { EACH_LOOK, scenarios } from '../support/scenarios.mjs'
import { addon, describe, job, say } from '../support/program.mjs'

say({ points: addon.faultPoints?.() })
const scenario = scenarios[job.scenario]
const context = {
  Queue,
  dir: job.dir,
  root: path.join(job.dir, 'root'),
  say,
  report: ({ type, rawName }) => say({ report: type, name: rawName }),
  finish: async (item, action, perform) => perform(),
}
fs.mkdirSync(context.root)
const state = await scenario.setup(context)
addon.setFaults(`${EACH_LOOK};${scenario.faults};${job.faults}`)
try {
  await scenario.act(context, state)
} catch (error) {
  say({ error: describe(error, FsqError) })
}
addon.setFaults('')
say({ end: true })
process.exit(0)
