// The programs of docs/forwarding.md, with a server of the test's own.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

import { Queue } from 'fsq'
import { consumerConfig, streamConfig } from '../../src/nats.js'
import { HAS_NATS, NatsServer } from '../support/nats-server.js'
import { given } from '../support/needs.js'
import { until, useTestBed } from '../support/queue.js'

const PROJECT = fileURLToPath(new URL('../..', import.meta.url))
const PROGRAMS = ['edge-device.mjs', 'fleet-worker.mjs'] as const
const withNats = given(HAS_NATS)

test.each(PROGRAMS)('docs/forwarding.md shows %s, in at most 15 lines', (name) => {
  const program = fs.readFileSync(path.join(import.meta.dirname, name), 'utf8')
  const page = fs.readFileSync(path.join(PROJECT, 'docs/forwarding.md'), 'utf8')
  expect(page).toContain(`\`\`\`js\n${program}\`\`\`\n`)
  expect(program.trimEnd().split('\n').length).toBeLessThanOrEqual(15)
})

withNats.describe('the programs (nats-server)', () => {
  const bed = useTestBed()
  let server: NatsServer
  const children: ChildProcess[] = []

  beforeEach(async () => {
    server = await NatsServer.start()
    const manager = await server.manager()
    await manager.streams.add({
      ...streamConfig({ stream: 'READINGS', subject: ['fsq.readings', 'fail.>'], replicas: 1 }),
    })
    await manager.consumers.add('READINGS', {
      ...consumerConfig({ consumer: 'fleet' }),
      filter_subject: 'fsq.readings',
    })
  })

  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGKILL')
        await once(child, 'exit')
      }
    }
    await server.remove()
  })

  function start(name: (typeof PROGRAMS)[number]): { child: ChildProcess; output: () => string } {
    const child = spawn(process.execPath, [path.join(import.meta.dirname, name)], {
      env: { ...process.env, FSQ_ROOT: bed.root, NATS_URL: server.url, NODE_NO_WARNINGS: '1' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(child)
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
    return { child, output: () => output }
  }

  test('readings of a device reach the fleet, once each', async () => {
    await using queue = await Queue.install('readings', { root: bed.root, durability: 'none' })
    for (let index = 0; index < 20; index++) await queue.enqueue(`${index}`, [`room${index}`])
    const device = start('edge-device.mjs')
    const workers = [start('fleet-worker.mjs'), start('fleet-worker.mjs')]
    const lines = (): string[] => workers.flatMap(({ output }) => output().trim().split('\n')).filter(Boolean)
    await until('all readings have come', () => lines().length >= 20)
    for (const { child } of [device, ...workers]) {
      child.kill('SIGTERM')
      expect(await once(child, 'exit')).toEqual([0, null])
    }
    const expected = Array.from({ length: 20 }, (_, index) => `room${index} ${index}`)
    expect(lines().sort()).toEqual(expected.sort())
    expect((await queue.counts()).done).toBe(20)
  })
})
