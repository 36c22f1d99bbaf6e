// Lets a lock go out of reach: { path }.
import process from 'node:process'

import { lock } from '../../dist/lock.js'
import { addon, isFree, job, say, until } from '../support/program.mjs'

process.on('warning', ({ code, message }) => {
  say({ warning: code, message, free: isFree(job.path) && addon.heldClaims() === 0 })
})
const take = async () => void (await lock(job.path))
await take()
await until('the lock is collected', () => addon.heldClaims() === 0)
