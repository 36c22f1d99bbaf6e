// One item that two senders push at the same time, to one receiver and to two: it comes once, and no look finds anything but all of it.
import { type ChildProcess, spawn } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { afterEach, expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { makeDirectory, until } from '../support/child.js'
import { I, exchange } from './server.js'

const MAIN = fileURLToPath(new URL('../../dist/command/cli/main.js', import.meta.url))
const ROUNDS = 12
const TEXT = 'some text, line by line\n'.repeat(20_000)

const running: ChildProcess[] = []
afterEach(() => {
  for (const child of running.splice(0)) child.kill('SIGKILL')
})

function fsq(root: string, ...args: readonly string[]): ChildProcess {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, FSQ_ROOT: root },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  running.push(child)
  return child
}

/** A process that receives. @returns The path of its socket. */
async function receiver(root: string, name: string): Promise<string> {
  const socket = path.join(root, name)
  const child = fsq(root, 'jsonrpcd', `unix://${socket}`, 'to')
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text))
  await until('the receiver listens', () => said.includes('starting'))
  return socket
}

/** The request of the first implementation, by a connection of its own. @returns The answer. */
async function theirPush(socket: string, id: string): Promise<unknown> {
  const body = `{"jsonrpc": "2.0", "params": ["${id}", "to", ${JSON.stringify(TEXT)}], "id": "5elc0sq0", "method": "enqueue"}`
  const head = `POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json-rpc\r\nContent-Length: ${body.length}`
  return JSON.parse((await exchange(socket, `${head}\r\n\r\n${body}`)).split('\r\n\r\n')[1] ?? '')
}

/** Our push of one item of a host, in a process of its own. @returns Its exit code. */
async function ourPush(root: string, socket: string, id: string): Promise<number | null> {
  const child = fsq(root, 'push', '-L', `unix://${socket}`, 'from', 'to', 'h1', id)
  return new Promise((resolve) => child.once('exit', resolve))
}

test.each([['one receiver'], ['two receivers']])(`their push and ours, ${ROUNDS} rounds: %s`, async (how) => {
  const root = makeDirectory({ quick: true })
  await using from = await Queue.install('from', { root, addHosts: ['h1'] })
  await using to = await Queue.install('to', { root })
  const one = await receiver(root, '.one')
  const two = how === 'two receivers' ? await receiver(root, '.two') : one
  const ids = Array.from({ length: ROUNDS }, (_, round) => I.replace('_0_13044', `_${round}_13044`))
  for (const id of ids) fs.writeFileSync(path.join(from.path, 'hosts/h1/queue', id), TEXT)
  let looks = 0
  for (const id of ids) {
    const file = path.join(to.path, 'queue', id)
    let isOver = false
    const watch = (async () => {
      while (!isOver) {
        if (fs.existsSync(file)) {
          expect(fs.readFileSync(file, 'utf8') === TEXT).toBe(true)
          looks++
        }
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    const pushes = [ourPush(root, one, id), ourPush(root, two, id)]
    // As many of theirs as it takes for some to meet ours.
    const met = Promise.race(pushes).then(() => (isOver = true))
    const answers: unknown[] = []
    while (!isOver) answers.push(...(await Promise.all([theirPush(one, id), theirPush(two, id)])))
    await met
    expect(await Promise.all(pushes)).toEqual([0, 0])
    await watch
    for (const answer of answers) expect(answer).toEqual({ error: null, result: id, id: '5elc0sq0' })
    expect(answers.length).toBeGreaterThan(0)
  }
  expect(looks).toBeGreaterThan(0)
  expect(fs.readdirSync(path.join(to.path, 'queue')).toSorted()).toEqual(ids.toSorted())
  expect(fs.readdirSync(path.join(to.path, 'tmp'))).toEqual([])
})
