/**
 * A real nats-server with JetStream, on loopback, with its files in a temporary directory.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { createInterface } from 'node:readline'

import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream'
import { type ConnectionOptions, type NatsConnection, connect } from '@nats-io/transport-node'

/** Whether nats-server is installed. CI installs it with apt-get. */
export const HAS_NATS = spawnSync('nats-server', ['--version']).status === 0

if (!HAS_NATS) console.warn('SKIPPED tests with a NATS server: nats-server is not installed')

/** Options of {@link NatsServer.start}. */
export interface NatsServerOptions {
  /** More of the configuration file. */
  readonly config?: string
  /** How the tests themselves connect. */
  readonly admin?: ConnectionOptions
}

export class NatsServer {
  readonly root = fs.mkdtempSync(path.join(fs.realpathSync(os.tmpdir()), 'fsq-nats-'))
  readonly #admin: ConnectionOptions
  #config: string
  #port = -1
  #child: ChildProcess | undefined
  #log: string[] = []
  #connections: NatsConnection[] = []

  private constructor({ config = '', admin = {} }: NatsServerOptions) {
    this.#config = config
    this.#admin = admin
  }

  static async start(options: NatsServerOptions = {}): Promise<NatsServer> {
    const server = new NatsServer(options)
    await server.start()
    return server
  }

  get url(): string {
    return `nats://127.0.0.1:${this.#port}`
  }

  get port(): number {
    return this.#port
  }

  get pid(): number {
    return this.#child?.pid ?? 0
  }

  /** Starts the server again, on the port that it had. */
  async start(): Promise<void> {
    this.#writeConfig()
    const child = spawn('nats-server', ['-c', this.#file], { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#child = child
    process.once('exit', this.#kill)
    const ready = this.#line(/Server is ready/)
    createInterface({ input: child.stderr }).on('line', (line) => {
      const [, port] = /client connections on [\d.]+:(\d+)/.exec(line) ?? []
      if (port !== undefined) this.#port = Number(port)
      this.#log.push(line)
      child.emit('log', line)
    })
    await ready
  }

  /** Ends the server as it is meant to end. */
  async stop(): Promise<void> {
    await this.#end('SIGTERM')
  }

  async kill(): Promise<void> {
    await this.#end('SIGKILL')
  }

  /** Replaces the further configuration while the server runs. */
  async reload(config: string): Promise<void> {
    this.#config = config
    this.#writeConfig()
    const reloaded = this.#line(/Reloaded server configuration/)
    this.#child?.kill('SIGHUP')
    await reloaded
  }

  /** Sends a signal to the process, such as SIGCONT. */
  signal(signal: NodeJS.Signals): void {
    this.#child?.kill(signal)
  }

  /** Stops the process until SIGCONT. When this resolves, none of its threads runs any more (known on Linux only). */
  async freeze(): Promise<void> {
    this.signal('SIGSTOP')
    const threads = `/proc/${this.pid}/task`
    const runs = (thread: string): boolean => {
      try {
        return !fs.readFileSync(path.join(threads, thread, 'stat'), 'utf8').includes(') T ')
      } catch {
        return true // The thread ended after the listing.
      }
    }
    while (fs.existsSync(threads) && fs.readdirSync(threads).some(runs))
      await new Promise((resolve) => setTimeout(resolve, 5))
  }

  /** Connects as an administrator. */
  async connect(options: ConnectionOptions = {}): Promise<NatsConnection> {
    const nc = await connect({ servers: this.url, reconnectTimeWait: 100, ...this.#admin, ...options })
    this.#connections.push(nc)
    return nc
  }

  async manager(): Promise<JetStreamManager> {
    return jetstreamManager(await this.connect({ maxReconnectAttempts: -1 }))
  }

  get log(): string {
    return this.#log.join('\n')
  }

  /** Ends the server and removes its files. */
  async remove(): Promise<void> {
    await Promise.all(this.#connections.map((nc) => nc.close()))
    await this.kill()
    fs.rmSync(this.root, { recursive: true, force: true })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.remove()
  }

  get #file(): string {
    return path.join(this.root, 'server.conf')
  }

  #writeConfig(): void {
    fs.writeFileSync(
      this.#file,
      `listen: "127.0.0.1:${this.#port}"\njetstream { store_dir: "${path.join(this.root, 'store')}" }\n${this.#config}\n`,
    )
  }

  async #line(pattern: RegExp): Promise<void> {
    const child = this.#child
    if (child === undefined) throw new Error('The server does not run')
    await new Promise<void>((resolve, reject) => {
      const onLog = (line: string): void => {
        if (!pattern.test(line)) return
        child.off('log', onLog)
        child.off('exit', onExit)
        resolve()
      }
      const onExit = (): void => reject(new Error(`nats-server has ended:\n${this.log}`))
      child.on('log', onLog)
      child.once('exit', onExit)
    })
  }

  async #end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child
    this.#child = undefined
    process.off('exit', this.#kill)
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill(signal)
    // One that was stopped takes no other signal.
    if (signal === 'SIGTERM') child.kill('SIGCONT')
    await ended
  }

  readonly #kill = (): void => {
    this.#child?.kill('SIGKILL')
  }
}
