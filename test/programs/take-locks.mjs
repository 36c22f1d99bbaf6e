// Takes locks on the fault-point build: { path, options, steps }; says what each step came to.
import { FsqError, tryLock, tryLockSync } from '../../dist/lock.js'
import { addon, describe, job, say } from '../support/program.mjs'

let held
const steps = {
  async path() {
    held = await tryLock(job.path, job.options)
    return held === undefined ? 'busy' : 'granted'
  },
  descriptor() {
    held = tryLockSync(job.descriptor, job.options)
    return held === undefined ? 'busy' : 'granted'
  },
  tryUpgrade: () => held.tryUpgrade(),
  downgrade: () => held.downgrade(),
  unlock: () => held.unlock(),
}

for (const step of job.steps) {
  let outcome
  try {
    outcome = { result: await steps[step]() }
  } catch (error) {
    outcome = { error: describe(error, FsqError) }
  }
  say({
    step,
    ...outcome,
    state: held && { held: held.held, shared: held.shared },
    claims: addon.heldClaims(),
  })
}
