// Sender and receiver are killed again and again, behind a proxy that drops connections: each item arrives once.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import net, { type AddressInfo } from 'node:net'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { makeDirectory } from '../support/child.js'

const MAIN = fileURLToPath(new URL('../../dist/command/cli/main.js', import.meta.url))
const ITEMS = 5000
const KILLS = 24
const ONE_MS = 300

/** Passes bytes on, and drops about one connection in 40: before the request, in it, in the answer, or behind it. */
class Proxy {
  readonly #server: net.Server
  target = ''
  dropped = 0

  constructor() {
    this.#server = net.createServer((near) => {
      const far = net.connect(this.target)
      const end = (): void => {
        near.destroy()
        far.destroy()
      }
      const isUnlucky = (): boolean => {
        if (Math.random() > 0.01) return false
        this.dropped++
        end()
        return true
      }
      if (isUnlucky()) return
      near.on('data', (bytes) => {
        if (Math.random() < 0.01) far.write(bytes.subarray(0, bytes.length / 2))
        else if (!isUnlucky()) far.write(bytes)
        else return
      })
      far.on('data', (bytes) => isUnlucky() || near.write(bytes))
      for (const socket of [near, far]) socket.on('error', end).on('close', end)
    })
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.close()
  }
}

function fsq(root: string, ...args: readonly string[]): ChildProcess {
  return spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, FSQ_ROOT: root },
    stdio: ['ignore', 'ignore', process.env['SHOW'] === undefined ? 'ignore' : 'inherit'],
  })
}

test('SIGKILL of both sides, and dropped connections: every item arrives once', async () => {
  const root = makeDirectory({ quick: true })
  const [near, far] = ['near', 'far'].map((name) => path.join(root, name)) as [string, string]
  fs.mkdirSync(near)
  fs.mkdirSync(far)
  await using from = await Queue.install('from', { root: near, durability: 'none' })
  await using to = await Queue.install('to', { root: far })
  const ids = await from.enqueueMany(
    Array.from({ length: ITEMS }, (_, at) => ({
      data: at % 50 === 0 ? Buffer.of(255, at % 256) : `item ${at}`,
    })),
  )
  const proxy = new Proxy()
  const url = await proxy.listen()
  const sides = {
    receiver: () => {
      proxy.target = path.join(root, `socket-${Math.random()}`)
      return fsq(far, 'jsonrpcd', `unix://${proxy.target}`, 'to')
    },
    sender: () => fsq(near, 'push', '--follow', url, 'from', 'to'),
  }
  const running = { receiver: sides.receiver(), sender: sides.sender() }
  const kill = async (side: keyof typeof sides): Promise<void> => {
    const child = running[side]
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }
  // Workers at the receiver, so that a repeat finds its item in done/, or nowhere.
  const arrived = new Map<string, number>()
  const worker = await to.work(
    (item) => {
      arrived.set(item.key, (arrived.get(item.key) ?? 0) + 1)
    },
    { concurrency: 4, keepDone: false },
  )
  for (let kills = 0; kills < KILLS; kills++) {
    await new Promise((resolve) => setTimeout(resolve, ONE_MS * (0.5 + 2 * Math.random())))
    const side = Math.random() < 0.5 ? 'receiver' : 'sender'
    await kill(side)
    running[side] = sides[side]()
  }
  while (!(await from.isEmpty()) || !(await to.isEmpty()))
    await new Promise((resolve) => setTimeout(resolve, 100))
  for (const side of ['sender', 'receiver'] as const) await kill(side)
  proxy.close()
  await worker.close()
  const keys = new Set(ids.map((id) => id.replace(/^((?:_[^_]*){4})_0/, '$1')))
  expect(proxy.dropped).toBeGreaterThan(0)
  expect([...arrived.values()].filter((times) => times !== 1)).toEqual([])
  expect(new Set(arrived.keys())).toEqual(keys)
  expect((await from.counts()).failed).toBe(0)
}, 300_000)
