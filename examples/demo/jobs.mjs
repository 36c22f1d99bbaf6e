// What becomes an item, and which of the items are to go wrong.
import { createHash } from 'node:crypto'
import path from 'node:path'

const SHARE_HOPELESS = 0.03
const SHARE_RETRIED = 0.05
const FEWEST_FOR_TROUBLE = 3
const LABEL_LENGTH = 24

/**
 * One job a file:
 *
 * - `path`: the file;
 * - `label`: a short name for people. It becomes a part of the name of the item's file, which has 255 bytes for all;
 * - `hopeless`: is to fail for good;
 * - `retries`: so many times it is to fail for now;
 * - `stalls`: the worker that gets it first stands still in the middle of it, and is killed.
 *
 * Which are which depends on nothing but the names of the files, so each run of the demo has the same.
 */
export function planJobs(folder, files) {
  const jobs = files.map((file) => ({
    path: file,
    label: [...path.basename(file)].slice(0, LABEL_LENGTH).join(''),
    hopeless: false,
    retries: 0,
    stalls: false,
  }))
  const hashes = new Map(jobs.map((job) => [job, hash(path.relative(folder, job.path))]))
  const shuffled = jobs.toSorted((a, b) => (hashes.get(a) < hashes.get(b) ? -1 : 1))
  const share = (part) => (jobs.length < FEWEST_FOR_TROUBLE ? 0 : Math.ceil(jobs.length * part))

  for (const job of shuffled.splice(0, share(SHARE_HOPELESS))) job.hopeless = true
  for (const [index, job] of shuffled.splice(0, share(SHARE_RETRIED)).entries()) job.retries = 1 + (index % 2)
  // One that nothing else goes wrong with, when about a third of the work is done.
  const third = Math.floor(jobs.length / 3)
  const fine = [...jobs.slice(third), ...jobs.slice(0, third)].find((job) => shuffled.includes(job))
  fine.stalls = true
  return jobs
}

function hash(text) {
  return createHash('sha256').update(text).digest('hex')
}
