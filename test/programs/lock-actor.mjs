// Takes and releases locks as messages ask, in a process (IPC) or a worker thread; answers each message.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import process from 'node:process'
import { isMainThread, parentPort } from 'node:worker_threads'

import { lock, tryLockSync, unlockSync } from '../../dist/lock.js'

const locks = new Map()

const calls = {
  open: (path) => fs.openSync(path, 'r+'),
  close: (fd) => fs.closeSync(fd),
  lock(name, target, options) {
    const held = tryLockSync(target, options)
    if (held === undefined) return 'busy'
    locks.set(name, held)
    return 'granted'
  },
  async waitForLock(name, target, options) {
    locks.set(name, await lock(target, options))
    return 'granted'
  },
  unlock: (name) => locks.get(name).unlock(),
  unlockSoon: (name) => void setTimeout(() => locks.get(name).unlock(), 20),
  unlockDescriptor: (fd, options) => unlockSync(fd, options),
  spawn: () => spawn('sleep', ['60'], { stdio: 'ignore' }).pid,
  exit: () => process.exit(0),
}

async function answer({ id, call, args }) {
  try {
    return { id, result: await calls[call](...args) }
  } catch (error) {
    return { id, error: `${error.name}: ${error.message}` }
  }
}

if (isMainThread) {
  process.on('message', (message) => void answer(message).then((said) => process.send(said)))
  process.on('disconnect', () => process.exit(0))
} else {
  parentPort.on('message', (message) => void answer(message).then((said) => parentPort.postMessage(said)))
}
