// Runs one scenario again and again, with another call failing each time: { scenario, dir, cases: [{ point, nth, action, errno }] }.
import fs from 'node:fs'
import path from 'node:path'

import { FinishError, FsqError, Queue } from '../../dist/index.js'
import { EACH_LOOK, scenarios } from '../support/scenarios.mjs'
import { addon, describe, isFree, job, lockedFiles, openBelow, say, until } from '../support/program.mjs'

const scenario = scenarios[job.scenario]
const umask = process.umask()

for (const [number, { point, nth, action, errno }] of job.cases.entries()) {
  const dir = path.join(job.dir, String(number))
  const root = path.join(dir, 'root')
  fs.mkdirSync(root, { recursive: true })
  const said = []
  const context = {
    Queue,
    dir,
    root,
    say: (message) => said.push(message),
    report: ({ type }) => said.push({ report: type }),
    finish,
  }

  // A finish that fails keeps the claim; asked again, it succeeds.
  async function finish(item, action, perform) {
    try {
      return await perform()
    } catch (error) {
      if (!(error instanceof FinishError)) throw error
      const held = item.claimed && fs.existsSync(item.path) && !isFree(item.path)
      said.push({ unfinished: describe(error, FsqError), held, claims: addon.heldClaims() })
      return perform()
    }
  }

  process.umask(umask)
  addon.setFaults('')
  const state = await scenario.setup(context)
  say({ begin: `${job.scenario}: ${point}#${nth} ${action} ${errno}` })
  let outcome
  addon.setFaults(`${EACH_LOOK};${scenario.faults};${point}#${nth}=${action}:${errno}`)
  try {
    await scenario.act(context, state)
  } catch (error) {
    outcome = describe(error, FsqError)
  }
  addon.setFaults('')
  const queuePath = path.join(root, 'q')
  const locked = fs.existsSync(path.join(queuePath, 'queue')) ? lockedFiles(queuePath) : []
  const claims = addon.heldClaims()
  await state.queue?.close()
  // Handles that were given up are closed by the garbage collector.
  await until(`nothing open below ${dir}`, () => openBelow(dir).length === 0, 2_000).catch(() => undefined)
  say({ number, outcome, said, locked, claims, open: openBelow(dir) })
}
say({ end: true })
