// Errors that last until a user changes something: a run that is to end with the last item ends with them, and a run that goes on tells of them.
import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import type { AddressInfo } from 'node:net'
import path from 'node:path'

import { afterEach, expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { makeDirectory, until } from '../support/child.js'
import { type Ended, Fsq } from './daemon.js'
import { serve } from './server.js'

const servers: http.Server[] = []
const commands: Fsq[] = []

afterEach(() => {
  for (const command of commands.splice(0)) command.process.kill('SIGKILL')
  for (const server of servers.splice(0)) server.close().closeAllConnections()
})

async function listen(handler: http.RequestListener): Promise<string> {
  const server = http.createServer(handler).listen(0, '127.0.0.1')
  servers.push(server)
  await once(server, 'listening')
  return `127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** The command, with three items that it can push. */
async function push(url: string, ...options: readonly string[]): Promise<{ command: Fsq; queue: Queue }> {
  const root = makeDirectory({ quick: true })
  const queue = await Queue.install('q', { root })
  await queue.enqueue('text')
  await queue.enqueue(Buffer.from([0xff]))
  await queue.enqueue('x'.repeat(2_000_000))
  const command = new Fsq(root, ['push', '--follow', ...options, url, 'q', 'q'])
  commands.push(command)
  return { command, queue }
}

async function inTime(ended: Promise<Ended>): Promise<Ended | 'late'> {
  const late = new Promise<'late'>((resolve) => setTimeout(resolve, 20_000, 'late').unref())
  return Promise.race([ended, late])
}

const status =
  (code: number): http.RequestListener =>
  (request, response) => {
    request.resume().once('end', () => response.writeHead(code).end('no'))
  }

const noSuchMethod: http.RequestListener = (request, response) => {
  request.resume().once('end', () => {
    response.end(
      JSON.stringify({ error: { code: -32601, message: 'Method not found' }, result: null, id: 1 }),
    )
  })
}

test.each([
  ['credentials that are wrong', 'http', status(401), 'refuses the credentials'],
  ['a path that is wrong', 'http', status(404), '404'],
  ['a redirection', 'http', status(301), '301'],
  ['another service', 'http', noSuchMethod, 'Method not found'],
  ['a page that takes all', 'http', status(200), 'no JSON'],
  ['a service without HTTP', 'http', (request) => request.socket.end('SSH-2.0-x\r\n'), 'no HTTP'],
  ['https:// of a server without TLS', 'https', status(200), 'no TLS: use http://'],
] satisfies readonly [string, string, http.RequestListener, string][])(
  'with --once, %s: the run ends with 111, and the items wait',
  async (_, scheme, handler, says) => {
    const { command, queue } = await push(`${scheme}://${await listen(handler)}/`, '--once')
    const ended = await inTime(command.ended)
    expect(ended).toMatchObject({ code: 111, signal: null })
    const { stderr } = ended as Ended
    expect(stderr).toContain(says)
    expect(stderr).toMatch(/^fsq push: .*this run ends\n$/)
    expect(await queue.counts()).toMatchObject({ waiting: 3, done: 0, failed: 0 })
    await queue.close()
  },
)

test('with --once, an error that may pass does not end the run', async () => {
  const served = await serve({ queues: 'all' })
  const { command, queue } = await push(served.url, '--once')
  // The queue at the receiver is missing at first.
  fs.renameSync(served.queue.path, path.join(served.root, 'aside'))
  await until('it is told', () => command.stderr.includes('no such queue'))
  fs.renameSync(path.join(served.root, 'aside'), served.queue.path)
  expect(await inTime(command.ended)).toMatchObject({ code: 0 })
  expect(await queue.counts()).toMatchObject({ waiting: 0, done: 3 })
  await queue.close()
  await served.close()
})

test('a run that follows tells of such an error once, also when it comes after another one', async () => {
  let code = 503
  const { command, queue } = await push(`http://${await listen((...both) => status(code)(...both))}`)
  await until('it is told', () => command.stderr.includes('503'))
  code = 401
  await until('it is told', () => command.stderr.includes('refuses the credentials'))
  const { code: exit, stderr } = await command.kill('SIGTERM')
  expect(exit).toBe(0)
  expect(stderr.match(/takes nothing/g)).toHaveLength(2)
  await queue.close()
})

test.each(['SIGTERM', 'SIGINT'] as const)(
  'with --once, %s before all has arrived: the run ends with 111, and says so',
  async (signal) => {
    const { command, queue } = await push(`http://${await listen(status(503))}`, '--once')
    await until('it is told', () => command.stderr.includes('503'))
    expect(await command.kill(signal)).toMatchObject({
      code: 111,
      stderr: expect.stringContaining(`${signal} has ended this run before all items had arrived`),
    })
    expect(await queue.counts()).toMatchObject({ waiting: 3, done: 0, failed: 0 })
    await queue.close()
  },
)

test('credentials that are refused are told of at the start, also while nothing waits', async () => {
  const url = `http://${await listen(status(401))}`
  const root = makeDirectory({ quick: true })
  await (await Queue.install('q', { root })).close()
  const start = (...options: readonly string[]): Fsq => {
    const command = new Fsq(root, ['push', '--follow', ...options, url, 'q', 'q'])
    commands.push(command)
    return command
  }
  const following = start()
  expect(await inTime(start('--once').ended)).toMatchObject({
    code: 111,
    stderr: expect.stringContaining('refuses the credentials (401). Waiting does not change that'),
  })
  await until('it is told', () => following.stderr.includes('refuses the credentials (401). Trying again'))
  expect(await following.kill('SIGTERM')).toMatchObject({ code: 0 })
})
