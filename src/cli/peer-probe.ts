/**
 * `fsq doctor --peer`, in a child process: see `peer-process.ts`.
 *
 * @module
 */
import { type ChildProcess, fork } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'

import type { PeerProbe } from '../probe/peer/probe-peer.js'
import { say } from './output.js'
import type { PeerMessage } from './peer-process.js'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

/**
 * Probes a directory together with another process, and says what goes wrong.
 *
 * @returns `undefined`: it went wrong.
 */
export async function probeInChild(directory: string): Promise<PeerProbe | undefined> {
  const program = path.join(path.dirname(fs.realpathSync(process.argv[1] ?? '')), 'peer-process.js')
  const child = fork(program, [directory])
  let interrupted: NodeJS.Signals | undefined
  const listeners = SIGNALS.map((signal) => [signal, () => stop(signal)] as const)
  const stop = (signal: NodeJS.Signals): void => {
    interrupted ??= signal
    if (child.connected) child.send('stop')
  }
  for (const [signal, listener] of listeners) process.on(signal, listener)
  try {
    const found = await answerOf(child, directory)
    if (typeof found !== 'string') return found
    if (interrupted === undefined) say(found)
    return undefined
  } finally {
    for (const [signal, listener] of listeners) process.off(signal, listener)
    if (interrupted !== undefined) process.kill(process.pid, interrupted)
  }
}

/** What the child has found, or what went wrong. */
async function answerOf(child: ChildProcess, directory: string): Promise<PeerProbe | string> {
  return new Promise((resolve) => {
    let answer: PeerProbe | string = 'the process that probes the directory has ended unexpectedly'
    child.once('exit', () => {
      resolve(answer)
    })
    child.on('message', (message: PeerMessage) => {
      if ('waiting' in message) {
        say(
          `waiting up to 10 s for 'fsq doctor --peer' on the other machine, in the same directory (here ${directory})`,
        )
        return
      }
      answer = 'found' in message ? message.found : message.failed
      // It has removed its files, if the server answers; and if not, it could not exit.
      child.kill('SIGKILL')
    })
  })
}
