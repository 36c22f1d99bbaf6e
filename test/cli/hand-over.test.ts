// fsq forward and fsq receive, between queues and a real server.
import fs from 'node:fs'

import { type JetStreamManager } from '@nats-io/jetstream'
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals'

import { until } from '../support/child.js'
import { useCommandBed } from '../support/command.js'
import { HAS_NATS, NatsServer } from '../support/nats-server.js'
import { given } from '../support/needs.js'

const bed = useCommandBed()
const withNats = given(HAS_NATS)

describe('without a server', () => {
  beforeEach(async () => {
    await bed.sh('fsq install q')
  })

  test.each([
    ['fsq forward q --stream S', '--to is missing'],
    ['fsq receive q --stream S --consumer c', '--from is missing'],
    ['fsq forward q --to nats://h', '--stream is missing'],
    ['fsq receive q --from nats://h --stream S', '--consumer is missing'],
    ['fsq forward q --to ftp://h --stream S', "--to is 'ftp://h', expected nats://host:port"],
    ['fsq forward q --to nats://a,b --stream S', "--to is 'nats://a,b', expected nats://host:port"],
    ['fsq forward --to nats://h --stream S', 'the name of a queue is missing'],
    ['fsq forward q r --to nats://h --stream S', 'one queue at a time'],
    ['fsq forward q --to nats://h --stream S --in-doubt maybe', 'expected hold or publish'],
    ['fsq forward q --to nats://h --stream S -j 0', '-j is'],
    ['fsq receive q --from nats://h --stream S --consumer c --keep long', '--keep is'],
  ])('%s: bad usage', async (command, message) => {
    const { code, stderr } = await bed.sh(command)
    expect(code).toBe(100)
    expect(stderr).toContain(message)
  })

  test('configurations for the administrator of the server', async () => {
    const stream = await bed.sh('fsq forward q --print-stream --stream S --subject a.b --replicas 1')
    expect(JSON.parse(stream.stdout)).toMatchObject({
      name: 'S',
      subjects: ['a.b'],
      retention: 'limits',
      num_replicas: 1,
    })
    const consumer = await bed.sh('fsq receive --print-consumer --consumer c')
    expect(JSON.parse(consumer.stdout)).toMatchObject({ durable_name: 'c', ack_policy: 'explicit' })
    expect([stream.code, consumer.code]).toEqual([0, 0])
  })

  test.each([
    'fsq forward missing --to nats://127.0.0.1:1 --stream S',
    'fsq receive missing --from nats://127.0.0.1:1 --stream S --consumer c',
  ])('%s: a queue that is missing', async (command) => {
    const { code, stderr } = await bed.sh(command)
    expect({ code, stderr }).toEqual({ code: 111, stderr: expect.stringContaining('fsq install') })
  })

  test('a server that is away is told of, and SIGTERM ends the command; the items wait', async () => {
    const shell = bed.start('fsq enqueue -e q a; exec fsq forward q --to nats://127.0.0.1:1 --stream S')
    await until('the message', () => shell.stderr.includes('the target takes nothing'))
    shell.killGroup('SIGTERM')
    expect((await shell.ended).code).toBe(0)
    expect(fs.readdirSync(bed.path('q', 'queue'))).toHaveLength(1)
  })
})

withNats.describe('with a server', () => {
  let server: NatsServer
  let manager: JetStreamManager

  beforeEach(async () => {
    server = await NatsServer.start()
    manager = await server.manager()
    await bed.sh('fsq install q; fsq install back')
    const stream = await bed.sh('fsq forward q --print-stream --stream S --replicas 1')
    const consumer = await bed.sh('fsq receive --print-consumer --consumer c')
    await manager.streams.add(JSON.parse(stream.stdout) as { name: string })
    await manager.consumers.add('S', JSON.parse(consumer.stdout) as object)
  })

  afterEach(async () => {
    await server.remove()
  })

  test('items go from queue to queue, with their arguments and contents', async () => {
    await bed.sh("for i in 1 2 3; do echo $i | fsq enqueue q a$i 'ü b' \"$(printf '\\n')\"; done")
    const sent = await bed.sh(`fsq forward q --to ${server.url} --stream S --once --json`)
    expect(sent.code).toBe(0)
    expect(JSON.parse(sent.stdout)).toMatchObject({
      forwarded: 3,
      duplicates: 0,
      refused: 0,
      held: 0,
      connected: true,
    })
    expect(fs.readdirSync(bed.path('q', 'done'))).toHaveLength(3)

    const shell = bed.start(
      `exec fsq receive back --from ${server.url} --stream S --consumer c --json -i 1 -v`,
    )
    await until('the items are there', () => fs.readdirSync(bed.path('back', 'queue')).length === 3)
    shell.killGroup('SIGTERM')
    const { code, stdout, stderr } = await shell.ended
    expect(code).toBe(0)
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toMatchObject({ taken: 3, known: 0 })
    expect(stderr.match(/: received$/gm)).toHaveLength(3)
    const { stdout: seen } = await bed.sh("fsq scan back sh -c 'cat; echo $1,$2' sh")
    expect(seen.split('\n').sort().join(' ').trim()).toBe('1 2 3 a1,ü b a2,ü b a3,ü b')
  })

  test('an item that was retried after it was stored is a duplicate at the server', async () => {
    await bed.sh('fsq enqueue -e q a')
    const forward = `fsq forward q --to ${server.url} --stream S --once -v --json`
    await bed.sh(forward)
    expect((await bed.sh('fsq retry --done -a q')).code).toBe(0)
    const { stdout, stderr } = await bed.sh(forward)
    expect(JSON.parse(stdout)).toMatchObject({ forwarded: 1, duplicates: 1 })
    expect(stderr).toContain(': was there')
    expect((await manager.streams.info('S')).state.messages).toBe(1)
  })

  test('an item that the stream will not take fails, and the exit code tells', async () => {
    await bed.sh('head -c 2000000 /dev/zero | fsq enqueue q a; fsq enqueue -e q b')
    const { code, stderr } = await bed.sh(`fsq forward q --to ${server.url} --stream S --once`)
    expect(code).toBe(111)
    expect(stderr).toContain('refused, in fail/')
    expect(fs.readdirSync(bed.path('q', 'fail'))).toHaveLength(1)
    expect(fs.readdirSync(bed.path('q', 'done'))).toHaveLength(1)
  })

  test.each([
    ['a stream that is missing', (url: string) => `--to ${url} --stream NONE`, 'stream not found'],
    [
      'a subject that no stream takes',
      (url: string) => `--to ${url} --stream S --subject x.y`,
      "does not take the subject x.y: its subjects are [ 'fsq.q' ]",
    ],
    ['a server without TLS', (url: string) => `--to ${url.replace('nats:', 'tls:')} --stream S`, "'tls'"],
    ['a missing file', (url: string) => `--to ${url} --stream S --creds none.creds`, 'none.creds'],
  ])('with --once, %s ends the run with 111, and the item waits', async (_, target, message) => {
    await bed.sh('fsq enqueue -e q a')
    const { code, stderr } = await bed.sh(`fsq forward q --once ${target(server.url)}`)
    expect({ code, stderr }).toEqual({ code: 111, stderr: expect.stringContaining(message) })
    expect(fs.readdirSync(bed.path('q', 'queue'))).toHaveLength(1)
  })

  test('with --once, refused credentials end the run with 111', async () => {
    await using guarded = await NatsServer.start({ config: 'authorization { user: u, password: p }' })
    const url = guarded.url.replace('//', '//u:wrong@')
    // Also while nothing waits.
    for (const before of ['true', 'fsq enqueue -e q a']) {
      const { code, stderr } = await bed.sh(`${before}; fsq forward q --once --to ${url} --stream S`)
      expect({ code, stderr }).toEqual({
        code: 111,
        stderr: expect.stringContaining('Authorization Violation'),
      })
    }
    const missing = await bed.sh(`fsq install e; fsq forward e --once --to ${server.url} --stream NONE`)
    expect(missing).toMatchObject({ code: 111, stderr: expect.stringContaining('stream not found') })
  })

  test('a second receiver of the source is refused', async () => {
    const receive = `fsq receive back --from ${server.url} --stream S --consumer c`
    const shell = bed.start(`exec ${receive} -v --json -i 1`)
    await until('it prints numbers', () => shell.stdout !== '')
    const { code, stderr } = await bed.sh(receive)
    expect(code).toBe(111)
    expect(stderr).toContain('receive')
    shell.killGroup('SIGTERM')
    expect((await shell.ended).code).toBe(0)
  })

  test('a reader of the numbers that goes away ends the command', async () => {
    const { code } = await bed.sh(`fsq forward q --to ${server.url} --stream S --json -i 1 | head -n 1`)
    expect(code).toBe(0)
  })
})
