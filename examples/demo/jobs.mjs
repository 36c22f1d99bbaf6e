// Plans the jobs: which files become items, and which items go wrong.
import { createHash } from 'node:crypto'
import path from 'node:path'

const SHARE_HOPELESS = 0.03
const SHARE_RETRIED = 0.05
const FEWEST_FOR_TROUBLE = 3
const LABEL_LENGTH = 24

/**
 * Plans one job for each file:
 *
 * - `path`: the file;
 * - `label`: a short name for people. It becomes part of the name of the item's file, which has 255 bytes in all;
 * - `hopeless`: fails permanently;
 * - `retries`: how often it fails temporarily;
 * - `stalls`: the first worker that takes it hangs in the middle of it, and is killed.
 *
 * The choice depends only on the names of the files, so each run of the demo has the same.
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
  // A job with no other fault, about a third of the way through.
  const third = Math.floor(jobs.length / 3)
  const fine = [...jobs.slice(third), ...jobs.slice(0, third)].find((job) => shuffled.includes(job))
  fine.stalls = true
  return jobs
}

function hash(text) {
  return createHash('sha256').update(text).digest('hex')
}
