/**
 * The program that is run for an item.
 *
 * @module
 */
import { type ChildProcess, spawn } from 'node:child_process'
import process from 'node:process'

import type { WorkItem } from '../item/work-item.js'

/** How a program is run. */
export interface Run {
  readonly argv: readonly string[]
  readonly env: NodeJS.ProcessEnv
  /** The descriptor that becomes its standard input. */
  readonly stdin: number
  /** Hears of the process while it runs. */
  readonly onStart: (child: ChildProcess) => void
}

/** How a program has ended. */
export type Ending =
  | { readonly code: number }
  | { readonly signal: NodeJS.Signals }
  /** It has not run. */
  | { readonly error: NodeJS.ErrnoException }

/** Runs a program with this standard input, and with this process's other two; nothing else is open in it. */
export async function runChild({ argv, env, stdin, onStart }: Run): Promise<Ending> {
  const [file = '', ...args] = argv
  return new Promise((resolve) => {
    let child: ChildProcess
    try {
      child = spawn(file, args, { env, stdio: [stdin, 'inherit', 'inherit'] })
    } catch (error) {
      resolve({ error: error as NodeJS.ErrnoException })
      return
    }
    onStart(child)
    child.on('error', (error) => {
      // Also when it could not be sent a signal, and it runs then.
      if (child.pid === undefined) resolve({ error })
    })
    child.once('exit', (code, signal) => resolve(signal === null ? { code: code ?? 0 } : { signal }))
  })
}

/** The environment of this process with what the name of the item says; what a scan above this one has set is gone. */
export function itemEnvironment(item: WorkItem): NodeJS.ProcessEnv {
  const { FSQ_ITEM_HOST: _, ...env } = process.env
  return {
    ...env,
    FSQ_ITEM_ID: item.id,
    FSQ_ITEM_ENQUEUED_AT: item.timestamp,
    FSQ_ITEM_ENTROPY: item.entropy,
    FSQ_ITEM_PID: item.pid,
    FSQ_ITEM_HOSTNAME: item.hostname,
    FSQ_ITEM_TRIES: String(item.tries),
  }
}
