/** The command `fsq` as built, run by a real shell. */
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach } from '@jest/globals'

import { isRoot } from './needs.js'
import { type TestBed, NOBODY, useTestBed } from './queue.js'

const MAIN = fileURLToPath(new URL('../../dist/command/cli/main.js', import.meta.url))

export interface Outcome {
  /** 128 and the number of the signal where it was killed, as shells have it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export interface ShellOptions {
  readonly env?: NodeJS.ProcessEnv
  /** Standard input. Default: empty. */
  readonly input?: string | Buffer
  /** Gives up root, where the test has it. */
  readonly asNobody?: boolean
}

/** A running shell. */
export class Shell {
  readonly ended: Promise<Outcome>
  readonly process: ChildProcess
  stdout = ''
  stderr = ''

  constructor(script: string, env: NodeJS.ProcessEnv, { input = '', asNobody = false }: ShellOptions) {
    const as = asNobody && isRoot ? { uid: NOBODY, gid: NOBODY } : {}
    // A group of its own, as a terminal would give it.
    const child = spawn('sh', ['-c', script], { env, detached: true, ...as })
    this.process = child
    child.stdin.on('error', () => {})
    child.stdin.end(input)
    child.stdout.setEncoding('utf8').on('data', (text: string) => (this.stdout += text))
    child.stderr.setEncoding('utf8').on('data', (text: string) => (this.stderr += text))
    this.ended = new Promise((resolve) => {
      child.once('close', (code) => resolve({ code, stdout: this.stdout, stderr: this.stderr }))
    })
  }

  /** To all processes of the shell, as Ctrl-C on a terminal. */
  killGroup(signal: NodeJS.Signals): void {
    process.kill(-(this.process.pid ?? 0), signal)
  }
}

/** A directory for queues, and shells in which `fsq` is this package's. */
export class CommandBed {
  readonly bed: TestBed
  readonly #shells: Shell[] = []

  constructor(bed: TestBed) {
    this.bed = bed
  }

  get root(): string {
    return path.join(this.bed.root, 'queues')
  }

  begin(): void {
    fs.mkdirSync(this.root)
    fs.mkdirSync(this.bed.path('bin'))
    fs.writeFileSync(this.bed.path('bin', 'fsq'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`, {
      mode: 0o755,
    })
  }

  async end(): Promise<void> {
    for (const shell of this.#shells) {
      try {
        shell.killGroup('SIGKILL')
      } catch {
        // It has ended.
      }
    }
    await Promise.all(this.#shells.splice(0).map(({ ended }) => ended))
  }

  start(script: string, options: ShellOptions = {}): Shell {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('FSQ_'))
    const env = {
      ...Object.fromEntries(inherited),
      PATH: `${this.bed.path('bin')}:${process.env['PATH'] ?? ''}`,
      FSQ_ROOT: this.root,
      FSQ_DURABILITY: 'none',
      ...options.env,
    }
    const shell = new Shell(`umask 022; ${script}`, env, options)
    this.#shells.push(shell)
    return shell
  }

  async sh(script: string, options: ShellOptions = {}): Promise<Outcome> {
    return this.start(script, options).ended
  }

  /** The contents of a queue: the items of each directory that holds some, and all other entries. No item is ever in meta/. */
  state(name = 'q', root = this.root): Record<string, readonly string[] | string> {
    const found: Record<string, readonly string[] | string> = {}
    for (const entry of fs.readdirSync(path.join(root, name), { withFileTypes: true })) {
      if (entry.name === 'meta') continue
      if (!entry.isDirectory()) found[entry.name] = entry.isFIFO() ? 'FIFO' : 'file'
      else {
        // The names of two processes differ in their pids, of which the second may have one digit more.
        const items = fs.readdirSync(path.join(root, name, entry.name)).toSorted(byNumbers)
        if (items.length > 0) found[entry.name] = items.map(short)
      }
    }
    return found
  }

  path(...parts: string[]): string {
    return path.join(this.root, ...parts)
  }

  /** The mode bits of a file, in octal. */
  mode(...parts: string[]): string {
    return (fs.lstatSync(this.path(...parts)).mode & 0o7777).toString(8)
  }

  /** The path of the only entry of a directory. */
  only(...parts: string[]): string {
    const directory = this.path(...parts)
    const [name, ...more] = fs.readdirSync(directory)
    if (name === undefined || more.length > 0) throw new Error(`not one entry: ${directory}`)
    return path.join(directory, name)
  }

  /** Puts an item there, as another host might have. */
  plant(name: string, content = '', queue = 'q'): void {
    fs.writeFileSync(this.path(queue, 'queue', name), content, { mode: 0o640 })
  }
}

/** By code units, and numbers by their values. */
function byNumbers(one: string, other: string): number {
  const [left = '', right = ''] = [one, other].map((name) =>
    name.replaceAll(/\d+/g, (digits) => digits.padStart(20, '0')),
  )
  return left < right ? -1 : Number(left > right)
}

/** The name of a new item without what differs from run to run: its tries and its arguments. */
function short(name: string): string {
  return name.replace(/^_20[2-9][0-9]{11}_[0-9]+_[0-9]+_[^_]+_/, '')
}

/**
 * For each test of the file: a bed.
 *
 * @param options - Those of {@link useTestBed}.
 */
export function useCommandBed(options: Parameters<typeof useTestBed>[0] = {}): CommandBed {
  const commands = new CommandBed(useTestBed(options))
  beforeEach(() => {
    commands.begin()
  })
  afterEach(async () => {
    await commands.end()
  })
  return commands
}
