// `fsq jsonrpcd` and `fsq push` as processes of their own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { until } from '../support/child.js'

const MAIN = fileURLToPath(new URL('../../dist/command/cli/main.js', import.meta.url))

export interface Ended {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stderr: string
}

export interface FsqOptions {
  /** A command that runs this one. */
  readonly prefix?: readonly string[] | undefined
}

/** A command, running. */
export class Fsq {
  readonly process: ChildProcess
  readonly ended: Promise<Ended>
  stderr = ''

  constructor(root: string, args: readonly string[], { prefix = [] }: FsqOptions = {}) {
    const [command = '', ...rest] = [...prefix, process.execPath, MAIN, ...args]
    const env = { ...process.env, FSQ_ROOT: root }
    this.process = spawn(command, rest, { env, stdio: ['ignore', 'ignore', 'pipe'] })
    this.process.stderr?.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.ended = once(this.process, 'close').then(([code, signal]) => ({
      code: code as number | null,
      signal: signal as NodeJS.Signals | null,
      stderr: this.stderr,
    }))
  }

  /** The peak memory in MB; `undefined` where the system does not tell. */
  get peakMB(): number | undefined {
    try {
      const status = fs.readFileSync(`/proc/${this.process.pid ?? 0}/status`, 'utf8')
      return Number(/^VmHWM:\s*(\d+) kB$/m.exec(status)?.[1]) / 1024
    } catch {
      return undefined
    }
  }

  async kill(signal: NodeJS.Signals): Promise<Ended> {
    this.process.kill(signal)
    return this.ended
  }
}

/** A receiver of all queues below a root. */
export class Daemon extends Fsq {
  /** @param args - Options, and what stands behind them. Default: any port on loopback. */
  static async start(
    root: string,
    args: readonly string[] = [],
    place: readonly string[] = ['127.0.0.1', '0'],
    options?: FsqOptions,
  ): Promise<Daemon> {
    const daemon = new Daemon(root, ['jsonrpcd', ...args, ...place], options)
    await until('the receiver listens', () => {
      if (daemon.process.exitCode !== null) throw new Error(daemon.stderr)
      return daemon.stderr.includes('starting')
    })
    return daemon
  }

  get port(): number {
    return Number(/:(\d+)$/m.exec(this.stderr)?.[1])
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }
}
