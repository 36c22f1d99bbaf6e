/**
 * Runs the program for an item.
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
  /** The descriptor that becomes its standard error. */
  readonly stderr: number
  /** Called with the process when it has been started. */
  readonly onStart: (child: ChildProcess) => void
}

/** How a program has ended. */
export type Ending =
  | { readonly code: number }
  | { readonly signal: NodeJS.Signals }
  /** It has not been started. */
  | { readonly error: NodeJS.ErrnoException }

/** Runs a program with this process's standard output. It inherits no other descriptor than the three. */
export async function runChild({ argv, env, stdin, stderr, onStart }: Run): Promise<Ending> {
  const [file = '', ...args] = argv
  return new Promise((resolve) => {
    let child: ChildProcess
    try {
      child = spawn(file, args, { env, stdio: [stdin, 'inherit', stderr] })
    } catch (error) {
      resolve({ error: error as NodeJS.ErrnoException })
      return
    }
    onStart(child)
    child.on('error', (error) => {
      // The event also comes when a signal cannot be sent. The process runs then, and has a pid.
      if (child.pid === undefined) resolve({ error })
    })
    child.once('exit', (code, signal) => resolve(signal === null ? { code: code ?? 0 } : { signal }))
  })
}

/**
 * The environment of this process with the fields of the item's name, in place of those that an outer scan has set.
 *
 * @param host - Whose queue the item is in. `undefined`: that of no host.
 */
export function itemEnvironment(item: WorkItem, host: string | undefined): NodeJS.ProcessEnv {
  const { FSQ_ITEM_HOST: _, ...env } = process.env
  return {
    ...env,
    ...(host === undefined ? {} : { FSQ_ITEM_HOST: host }),
    FSQ_ITEM_ID: item.id,
    FSQ_ITEM_ENQUEUED_AT: item.timestamp,
    FSQ_ITEM_ENTROPY: item.entropy,
    FSQ_ITEM_PID: item.pid,
    FSQ_ITEM_HOSTNAME: item.hostname,
    FSQ_ITEM_TRIES: String(item.tries),
  }
}
