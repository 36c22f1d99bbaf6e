import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import process from 'node:process'

import { afterEach, expect, test } from '@jest/globals'

import { listen } from '../../src/cli/listen.js'
import { makeDirectory } from '../support/child.js'

const servers: net.Server[] = []

afterEach(() => {
  for (const server of servers.splice(0)) server.close()
})

/** The path of a socket that a killed process has left. */
function staleSocket(): string {
  const file = path.join(makeDirectory(), 'socket')
  const dies = `require('node:net').createServer().listen(${JSON.stringify(file)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', dies])
  expect(fs.lstatSync(file).isSocket()).toBe(true)
  return file
}

async function answer(file: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(file).setEncoding('utf8').once('error', reject)
    socket.once('data', (text: string) => {
      socket.destroy()
      resolve(text)
    })
  })
}

test('of several servers that find one stale socket at the same time, one listens', async () => {
  const file = staleSocket()
  servers.push(
    ...['a', 'b', 'c'].map((name) =>
      net.createServer((socket) => socket.on('error', () => undefined).end(name)),
    ),
  )
  const outcomes = await Promise.allSettled(servers.map(async (server) => listen(server, { path: file })))
  const listening = outcomes.flatMap(({ status }, index) => (status === 'fulfilled' ? [index] : []))
  expect(listening).toHaveLength(1)
  for (const one of outcomes)
    if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'EADDRINUSE' })
  expect(await answer(file)).toBe(['a', 'b', 'c'][listening[0] ?? -1])
  expect(fs.statSync(file).mode & 0o777).toBe(0o660)
  expect(fs.readdirSync(path.dirname(file))).toEqual(['socket'])
})

test('a path that is too long for a socket is an error: no other path is taken', async () => {
  const directory = makeDirectory()
  const server = net.createServer()
  servers.push(server)
  const listening = listen(server, { path: path.join(directory, 'x'.repeat(120)) })
  await expect(listening).rejects.toThrow(/more than the 10[37] bytes/)
  expect([fs.readdirSync(directory), server.listening]).toEqual([[], false])
})

test('a missing directory is an error, and is not made', async () => {
  const directory = path.join(makeDirectory(), 'missing')
  await expect(listen(net.createServer(), { path: path.join(directory, 'socket') })).rejects.toMatchObject({
    code: expect.stringMatching(/ENOENT|EACCES/),
  })
  expect(fs.existsSync(directory)).toBe(false)
})
