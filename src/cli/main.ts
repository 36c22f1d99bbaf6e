#!/usr/bin/env node
/**
 * The command `fsq`: reads the global options, loads and runs one command, and turns errors into messages and exit codes.
 *
 * @module
 */
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'

import { guess } from '../nearest.js'
import type { SettingOverrides } from '../settings.js'
import { type Arguments, type OptionTable, UsageError, readArguments } from './arguments.js'
import { BAD_USAGE, type Command, FAILURE, SUCCESS } from './command.js'
import { OutputError, say, speakAs, write } from './output.js'

interface Entry {
  readonly summary: string
  readonly load: () => Promise<Command>
  /** Options may follow operands. In commands of the first implementation, options end at the first operand. */
  readonly mixed?: boolean
}

const COMMANDS: Readonly<Record<string, Entry>> = {
  install: { summary: 'make queues', load: () => import('./commands/install.js') },
  uninstall: { summary: 'remove queues', load: () => import('./commands/uninstall.js'), mixed: true },
  enqueue: { summary: 'add an item, or many, to a queue', load: () => import('./commands/enqueue.js') },
  scan: { summary: 'run a program for each waiting item', load: () => import('./commands/scan.js') },
  down: { summary: 'forbid scans of queues', load: () => import('./commands/down.js') },
  up: { summary: 'allow scans of queues again', load: () => import('./commands/up.js') },
  'add-host': { summary: 'add a host to queues', load: () => import('./commands/add-host.js') },
  'rm-host': { summary: 'remove a host from queues', load: () => import('./commands/rm-host.js') },
  'down-host': { summary: 'forbid scans of a host', load: () => import('./commands/down-host.js') },
  'up-host': { summary: 'allow scans of a host again', load: () => import('./commands/up-host.js') },
  'host-dist': { summary: 'give items to all hosts', load: () => import('./commands/host-dist.js') },
  list: {
    summary: 'list queues, or the items of a queue',
    load: () => import('./commands/list.js'),
    mixed: true,
  },
  show: { summary: 'show the details of items', load: () => import('./commands/show.js'), mixed: true },
  log: { summary: 'tell why attempts failed', load: () => import('./commands/log.js'), mixed: true },
  wait: { summary: 'wait for the end of items', load: () => import('./commands/wait.js'), mixed: true },
  cat: { summary: 'print the contents of items', load: () => import('./commands/cat.js'), mixed: true },
  retry: {
    summary: 'move failed items back to queue/',
    load: () => import('./commands/retry.js'),
    mixed: true,
  },
  rm: { summary: 'remove items', load: () => import('./commands/rm.js'), mixed: true },
  audit: {
    summary: 'check queues for problems',
    load: () => import('./commands/audit.js'),
    mixed: true,
  },
  repair: {
    summary: 'fix the problems that audit finds',
    load: () => import('./commands/repair.js'),
    mixed: true,
  },
  stats: {
    summary: 'count items, their ages, and how fast they are done',
    load: () => import('./commands/stats.js'),
    mixed: true,
  },
  top: {
    summary: 'show queues, workers and failures live',
    load: () => import('./commands/top.js'),
    mixed: true,
  },
  watch: { summary: 'print what happens in queues', load: () => import('./commands/watch.js'), mixed: true },
  forward: {
    summary: 'hand the items of a queue over to NATS JetStream or to another machine',
    load: () => import('./commands/forward.js'),
    mixed: true,
  },
  receive: {
    summary: 'make messages of NATS JetStream items of a queue',
    load: () => import('./commands/receive.js'),
    mixed: true,
  },
  push: { summary: 'bring items to a queue on another machine', load: () => import('./commands/push.js') },
  jsonrpcd: {
    summary: 'take the items that other machines push',
    load: () => import('./commands/jsonrpcd.js'),
  },
  doctor: {
    summary: 'tell what a file system can do, and what it promises',
    load: () => import('./commands/doctor.js'),
    mixed: true,
  },
  prune: {
    summary: 'remove finished items by age or count',
    load: () => import('./commands/prune.js'),
    mixed: true,
  },
}

const OPTIONS: OptionTable = {
  help: { short: 'h' },
  list: { short: 'l' },
  version: { short: 'V' },
  charset: { short: 'c', value: 'utf8, ascii or latin-1' },
  // The first implementation looked for its commands there.
  'exec-dir': { short: 'e', value: 'a path' },
  'root-dir': { short: 'r', value: 'the directory that holds the queues' },
  'queue-dir': { short: 'q', value: 'the name of a directory' },
  'tmp-dir': { short: 't', value: 'the name of a directory' },
  'done-dir': { short: 'd', value: 'the name of a directory' },
  'down-file': { short: 'D', value: 'the name of a file' },
  'trigger-fifo': { short: 'T', value: 'the name of a FIFO' },
}

const HELP = `Usage: fsq [-r root] [option ...] command [option ...] [argument ...]

A work queue of files. 'fsq COMMAND --help' has the help of a command.

  install, uninstall  make queues; remove them
  enqueue             add an item, or many, to a queue
  scan, down, up      run a program for each item; forbid scans; allow them
  add-host, rm-host, down-host, up-host, host-dist   hosts get copies of items
  list, show, cat     list queues or items; show an item; print its contents
  log, wait           tell why attempts failed; wait for the end of items
  stats, top, watch   numbers and ages of items, once or live; what happens
  retry, rm, prune    move failed items back; remove items; remove old ones
  audit, repair, doctor   check queues; fix them; test what a file system can do
  forward, receive    hand items over to NATS JetStream; make messages items
  push, jsonrpcd      bring items to another machine; take them there

  -r, --root-dir=PATH    where the queues are (FSQ_ROOT, /var/fsq)
  -c, --charset=CHARSET  of names: utf8, ascii or latin-1 (FSQ_CHARSET)
  -q, --queue-dir=NAME, -t, --tmp-dir=NAME, -d, --done-dir=NAME,
  -D, --down-file=NAME, -T, --trigger-fifo=NAME    names of what is in a queue
  -l, --list, -V, --version, -h, --help    list the commands; version; this help
Example:
  fsq install mail && echo hello | fsq enqueue mail bob && fsq scan mail ./send
Exit codes: 0 success, 100 bad usage, 111 an error. See fsq(1), fsq(7).
`

function summaries(indent: string): string {
  return Object.entries(COMMANDS)
    .map(([name, { summary }]) => `${indent}${name.padEnd(10)} ${summary}\n`)
    .join('')
}

async function run(args: readonly string[]): Promise<number> {
  let help = HELP
  let called = 'fsq'
  const lines: Arguments[] = []
  try {
    const given = readArguments(args, OPTIONS)
    lines.push(given)
    if (given.has('help')) return answer(HELP)
    if (given.has('list')) return answer(summaries(''))
    if (given.has('version')) return answer(`fsq ${version()}\n`)
    const [name, ...rest] = given.operands
    if (name === undefined) throw new UsageError('the command is missing')
    if (name === 'help') return answer(rest[0] === undefined ? HELP : (await find(rest[0]).load()).help)
    const { mixed, load } = find(name)
    const command = await load()
    help = command.help
    called = `fsq ${name}`
    speakAs(name)
    const own = readArguments(rest, { ...command.options, help: { short: 'h' } }, mixed)
    if (own.has('help')) return answer(help)
    lines.push(own)
    if (args.some((arg) => arg.includes('\ufffd'))) await (await import('./bytes.js')).checkArguments()
    return await command.run(own, settingsOf(given))
  } catch (error) {
    if (error instanceof OutputError) {
      if (!error.isClosed) say(error.message)
      return FAILURE
    }
    if (error instanceof UsageError) return refuse(error.message, help, called)
    const { explain, isAboutOption } = await import('./advice.js')
    const message = explain(error, ...lines)
    if (isAboutOption(error)) return refuse(message, help, called)
    say(message)
    return FAILURE
  }
}

function find(name: string): Entry {
  const entry = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  if (entry !== undefined) return entry
  const meant = guess(name, Object.keys(COMMANDS))
  throw new UsageError(`there is no command '${name}'${meant}; fsq --list has those that there are`)
}

function settingsOf(given: Arguments): SettingOverrides {
  const settings: Record<string, string | undefined> = {
    root: given.text('root-dir'),
    charset: given.text('charset'),
    queue: given.text('queue-dir'),
    tmp: given.text('tmp-dir'),
    done: given.text('done-dir'),
    down: given.text('down-file'),
    trigger: given.text('trigger-fifo'),
  }
  return settings
}

function answer(text: string): number {
  write(text)
  return SUCCESS
}

/** @param called - The command as the user calls it. */
function refuse(message: string, help: string, called: string): number {
  say(`${message}\n${help.slice(0, help.indexOf('\n\n'))}\nTry '${called} --help'`)
  return BAD_USAGE
}

/** The version of the package that this program, dist/command/cli/main.js, belongs to. */
function version(): string {
  const folder = path.dirname(fs.realpathSync(process.argv[1] ?? ''))
  const text = fs.readFileSync(path.join(folder, '../../../package.json'), 'utf8')
  return (JSON.parse(text) as { readonly version: string }).version
}

// Warnings of Node are printed as messages. With NODE_NO_WARNINGS, Node has no listener for them.
if (process.listenerCount('warning') > 0)
  process.removeAllListeners('warning').on('warning', ({ message }) => say(message))
// Not exit(): operations in flight may end. Not await: the command is built as CommonJS modules.
void run(process.argv.slice(2)).then((code) => (process.exitCode = code))
