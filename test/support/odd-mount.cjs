// Preloaded by programs of a test: FSQ_TEST_MOUNT makes the file system of the process behave like a mount that does not fit several
// machines.
const fs = require('node:fs')

const addon = require('../../binding.cjs')

const { promises } = fs
const { lstat, open } = promises
const { now } = Date
const { readFileSync } = fs

const ODDITIES = {
  // As with nolock: the lock of each machine is its own.
  'local locks': () => {
    const isLock = /\/(lock-\w+|handover)$/
    promises.open = async (file, ...rest) =>
      open(isLock.test(file) ? `${file}-${process.pid}` : file, ...rest)
  },
  'no locks': () => {
    addon.lockDescriptorLater = async () => -95
  },
  // As a name cache does: a name that was seen stays.
  'stale names': () => {
    const known = new Map()
    promises.lstat = async (file) => {
      if (!known.has(file)) known.set(file, await lstat(file))
      return known.get(file)
    }
  },
  'renames that both win': () => {
    promises.rename = async (from, to) => promises.copyFile(from, to)
  },
  'links that replace': () => {
    promises.link = async (from, to) => promises.copyFile(from, to)
  },
  'no future times': () => {
    promises.utimes = async () => undefined
  },
  'a clock ahead': () => {
    Date.now = () => now() + 5_000
  },
  'a soft mount': () => {
    fs.readFileSync = (file, ...rest) => {
      const text = readFileSync(file, ...rest)
      return file === '/proc/self/mountinfo'
        ? text.replaceAll(/^(.*) - .*$/gm, '$1 - nfs4 server:/share rw,vers=4.2,soft,local_lock=none')
        : text
    }
  },
  // A trial that does not end.
  'a look that hangs': () => {
    promises.lstat = async (file) => (file.includes('/names/') ? new Promise(() => undefined) : lstat(file))
  },
}

const oddity = process.env.FSQ_TEST_MOUNT
if (oddity) ODDITIES[oddity]()
