/**
 * The program of the child process in which `fsq doctor --peer` makes its calls: a process cannot exit while the server of a network file
 * system does not answer one of them, but the command can kill the child.
 *
 * @module
 */
import process from 'node:process'

import { type PeerProbe, playWithPeer } from '../probe/peer/probe-peer.js'
import { explain } from './advice.js'

/** What the child tells the command. */
export type PeerMessage =
  { readonly waiting: true } | { readonly found: PeerProbe } | { readonly failed: string }

async function run(directory: string): Promise<void> {
  const stop = new AbortController()
  // The command says 'stop', or has died.
  for (const event of ['message', 'disconnect'] as const)
    process.once(event, () => {
      stop.abort(new Error('interrupted'))
    })
  // A terminal sends them to both processes, and the command decides.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
  let message: PeerMessage
  try {
    message = { found: await playWithPeer(directory, stop.signal, () => tell({ waiting: true })) }
  } catch (error) {
    message = { failed: explain(error) }
  }
  tell(message)
  if (process.connected) process.disconnect()
}

function tell(message: PeerMessage): void {
  if (process.connected) process.send?.(message)
}

void run(process.argv[2] ?? '')
