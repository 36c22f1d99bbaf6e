/**
 * Options of a worker whose handlers run in child processes.
 *
 * @module
 */
import { SettingError } from '../../errors/classes.js'
import type { ItemContext } from '../../item/context.js'
import type { BackoffOptions } from '../backoff.js'
import { type CheckedQueueOptions, type WorkOptions, checkQueueOptions } from '../local.js'
import { checkTimer } from '../options.js'

/** Options of {@link Queue.work} with a module. `concurrency` is that of each process. */
export interface ProcessOptions extends Omit<WorkOptions, 'backoff'> {
  /** How many child processes work. One that dies is replaced. */
  readonly processes: number
  /**
   * Milliseconds after the `timeout` until a process whose handler still runs is killed. That counts as a crash of its items. Without a
   * timeout, no process is killed. Default: 5000.
   */
  readonly killAfter?: number | undefined
  /** Options of Node for the child processes. Default: those of this process. */
  readonly execArgv?: readonly string[] | undefined
  /** The environment of the child processes. Default: that of this process. */
  readonly env?: NodeJS.ProcessEnv | undefined
  /** How long an item waits for its next try. A function cannot be passed to another process: let the module export it as `backoff`. */
  readonly backoff?: number | BackoffOptions | undefined
}

/** {@link ProcessOptions}, checked. */
export interface CheckedProcessOptions extends CheckedQueueOptions {
  readonly processes: number
  readonly killAfter: number
  readonly execArgv: readonly string[] | undefined
  readonly env: NodeJS.ProcessEnv | undefined
  /** The options that the child processes get. */
  readonly forChild: Readonly<Record<string, unknown>>
}

/** @throws {@link SettingError} */
export function checkProcessOptions(context: ItemContext, options: ProcessOptions): CheckedProcessOptions {
  if (typeof options !== 'object' || (options as unknown) === null)
    throw new SettingError('options', options, 'an object with options of work')
  const { processes, killAfter = 5000, execArgv, env, ...rest } = options
  if (!Number.isSafeInteger(processes) || processes < 1)
    throw new SettingError('processes', processes, 'a whole number of 1 or more')
  checkTimer('killAfter', killAfter)
  checkEnvironment(execArgv, env)
  checkBackoff(rest.backoff)
  const checked = checkQueueOptions(context, rest)
  const { signal: _signal, closeOn: _closeOn, paused: _paused, ...forChild } = rest
  return { ...checked, processes, killAfter, execArgv, env, forChild }
}

function checkEnvironment(execArgv: unknown, env: unknown): void {
  if (
    execArgv !== undefined &&
    !(Array.isArray(execArgv) && execArgv.every((arg) => typeof arg === 'string'))
  )
    throw new SettingError('execArgv', execArgv, 'an array of strings')
  if (env !== undefined && (typeof env !== 'object' || env === null))
    throw new SettingError('env', env, 'an object of environment variables')
}

function checkBackoff(backoff: unknown): void {
  if (typeof backoff !== 'function') return
  throw new SettingError(
    'backoff',
    backoff,
    'a number or an object, because a function cannot be passed to another process',
    "Export it from the handler's module instead: export const backoff = (tries, error, item) => ...",
  )
}
