// How a sink reaches its server: the environment, credentials, TLS; and what is missing if the client is not installed.
import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'

import { afterEach, expect, jest, test } from '@jest/globals'
import { nkeys } from '@nats-io/transport-node'
import { MissingPeerError, type PutOutcome } from 'fsq'
import { type NatsSink, type NatsSinkOptions, natsSink, streamConfig } from 'fsq/nats'

import { until } from '../support/child.js'
import { HAS_NATS, NatsServer, type NatsServerOptions } from '../support/nats-server.js'
import { given } from '../support/needs.js'
import { NEVER, outgoing } from './outgoing.js'

const suite = given(HAS_NATS).describe
const ifOpenssl = given(spawnSync('openssl', ['version']).status === 0).test

let server: NatsServer
const sinks: NatsSink[] = []

afterEach(async () => {
  await Promise.all(sinks.splice(0).map((sink) => sink.close()))
})

async function startServer(options: NatsServerOptions = {}): Promise<void> {
  server = await NatsServer.start(options)
  const jsm = await server.manager()
  await jsm.streams.add(streamConfig({ stream: 'S', subject: 'fsq.q', replicas: 1 }))
}

async function openSink(options: Partial<NatsSinkOptions>): Promise<NatsSink> {
  const sink = natsSink({ stream: 'S', subject: 'fsq.q', onWarning: () => undefined, ...options })
  sinks.push(sink)
  await sink.open()
  return sink
}

async function put(sink: NatsSink, id = 'one'): Promise<PutOutcome | undefined> {
  const [outcome] = await sink.put([outgoing(id)], { signal: NEVER })
  return outcome
}

suite('with a server', () => {
  afterEach(async () => {
    await server.remove()
    delete process.env['NATS_URL']
    delete process.env['NATS_CREDS']
  })

  test('takes the server, its user and its password from NATS_URL', async () => {
    const admin = { user: 'a b', pass: 'p@:/100%' }
    await startServer({ config: 'authorization { user: "a b", password: "p@:/100%" }', admin })
    // The last `%` is not encoded.
    process.env['NATS_URL'] = `nats://127.0.0.1:1, nats://a%20b:p%40%3A%2F100%@127.0.0.1:${server.port}`
    expect(await put(await openSink({}))).toEqual({ outcome: 'stored' })
  })

  test('takes a token from the URL, and anything from the options of the client', async () => {
    await startServer({ config: 'authorization { token: "t0ken" }', admin: { token: 't0ken' } })
    expect(await put(await openSink({ servers: server.url.replace('//', '//t0ken@') }))).toEqual({
      outcome: 'stored',
    })
    const connection = { token: 't0ken', port: server.port }
    expect(await put(await openSink({ connection }), 'two')).toEqual({ outcome: 'stored' })
  })

  test('reads the credentials file anew at each connect', async () => {
    const [one, two, admin] = [nkeys.createUser(), nkeys.createUser(), 'secret']
    const config = (user: { getPublicKey(): string }): string =>
      `accounts { A { jetstream: enabled, users [ { nkey: ${user.getPublicKey()} }, { user: admin, password: ${admin} } ] } }`
    await startServer({ config: config(one), admin: { user: 'admin', pass: admin } })
    const file = path.join(server.root, 'user.creds')
    const write = (user: { getSeed(): Uint8Array }): void =>
      fs.writeFileSync(
        file,
        `-----BEGIN NATS USER JWT-----\ne30.e30.e30\n------END NATS USER JWT------\n\n-----BEGIN USER NKEY SEED-----\n${Buffer.from(user.getSeed()).toString()}\n------END USER NKEY SEED------\n`,
      )
    write(one)
    process.env['NATS_CREDS'] = file
    const sink = await openSink({ servers: server.url })
    expect(await put(sink)).toEqual({ outcome: 'stored' })
    await server.reload(config(two))
    await until('the old ones are refused', () => !sink.connected)
    expect(await put(sink, 'two')).toMatchObject({ outcome: 'again' })
    write(two)
    await until('the new ones are taken', () => sink.connected)
    expect(await put(sink, 'two')).toEqual({ outcome: 'stored' })
  })

  test('a credentials file that is missing is told of, and found when it is there', async () => {
    await startServer()
    const creds = path.join(server.root, 'none.creds')
    const sink = await openSink({ servers: server.url, creds })
    const outcome = await put(sink)
    expect(outcome).toMatchObject({
      outcome: 'again',
      error: { message: expect.stringMatching(/none\.creds/) },
    })
  })

  ifOpenssl('TLS: checks the server, and refuses one without', async () => {
    const root = fs.mkdtempSync('/tmp/fsq-tls-')
    try {
      const [key, cert] = [path.join(root, 'key.pem'), path.join(root, 'cert.pem')]
      execFileSync(
        'openssl',
        ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, '-days', '2'].concat([
          '-subj',
          '/CN=localhost',
          '-addext',
          'subjectAltName=IP:127.0.0.1',
        ]),
        { stdio: 'ignore' },
      )
      const tls = { caFile: cert }
      await startServer({ config: `tls { cert_file: "${cert}", key_file: "${key}" }`, admin: { tls } })
      const url = server.url.replace('nats:', 'tls:')
      expect(await put(await openSink({ servers: url, connection: { tls } }))).toEqual({ outcome: 'stored' })
      const distrustful = await openSink({ servers: url })
      expect(await put(distrustful)).toMatchObject({
        outcome: 'again',
        error: { message: expect.stringMatching(/self-signed certificate/) },
      })
    } finally {
      fs.rmSync(root, { recursive: true, force: true })
    }
  })

  test('tls:// refuses a server without TLS', async () => {
    await startServer()
    const sink = await openSink({ servers: server.url.replace('nats:', 'tls:') })
    expect(await put(sink)).toMatchObject({
      outcome: 'again',
      error: { message: expect.stringMatching(/does not support 'tls'/) },
    })
  })
})

test('a package of the client that is missing is named, with the command that installs it', async () => {
  const missing = Object.assign(new Error('Cannot find package'), { code: 'ERR_MODULE_NOT_FOUND' })
  await jest.isolateModulesAsync(async () => {
    jest.unstable_mockModule('@nats-io/jetstream', () => {
      throw missing
    })
    const { natsSink: sinkOf } = await import('fsq/nats')
    const error: unknown = await sinkOf({ stream: 'S', subject: 'x' })
      .open()
      .catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({
      name: MissingPeerError.name,
      code: 'ERR_FSQ_MISSING_PEER',
      peer: '@nats-io/jetstream',
      advice: 'Install it: npm install @nats-io/transport-node @nats-io/jetstream @nats-io/obj',
    })
  })
})

test('the library does not load the client, and fsq/nats only when it opens', () => {
  const dist = path.resolve(import.meta.dirname, '../../dist')
  const files = fs.readdirSync(dist).filter((file) => file.endsWith('.js'))
  expect(files).toContain('nats.js')
  for (const file of files) {
    const text = fs.readFileSync(path.join(dist, file), 'utf8')
    expect(text).not.toMatch(/from ["']@nats-io/)
    if (file !== 'nats.js') expect(text).not.toMatch(/@nats-io/)
  }
})
