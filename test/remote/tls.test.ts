/** TLS with certificates of two authorities, and between two machines: network namespaces with addresses of their own. */
import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'
import process from 'node:process'

import { afterAll, expect } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { type PushTls, pushItem } from '../../src/remote.js'
import { makeDirectory } from '../support/child.js'
import { given, isRoot } from '../support/needs.js'
import { Daemon, type Ended, Fsq } from './daemon.js'
import { filesIn } from './server.js'

const hasOpenssl = spawnSync('openssl', ['version']).status === 0
const NEAR = '10.213.17.1'
const FAR = '10.213.17.2'
const NAMES = ['near', 'far'].map((name) => `fsq-${process.pid}-${name}`) as [string, string]

const ip = (...args: readonly string[]): boolean => spawnSync('ip', args).status === 0

/** Two namespaces of the network, and a cable between them. */
function connect(): boolean {
  const [near, far] = NAMES
  return (
    ip('netns', 'add', near) &&
    ip('netns', 'add', far) &&
    ip('-n', near, 'link', 'add', 'cable', 'type', 'veth', 'peer', 'name', 'cable', 'netns', far) &&
    ip('-n', near, 'address', 'add', `${NEAR}/24`, 'dev', 'cable') &&
    ip('-n', far, 'address', 'add', `${FAR}/24`, 'dev', 'cable') &&
    ip('-n', near, 'link', 'set', 'cable', 'up') &&
    ip('-n', far, 'link', 'set', 'cable', 'up')
  )
}

function disconnect(): void {
  for (const name of NAMES) ip('netns', 'delete', name)
}

/** Makes CA.crt and for each name NAME.crt and NAME.key by that authority. */
function certify(place: string, authority: string, names: readonly string[]): void {
  const openssl = (...args: readonly string[]): unknown =>
    execFileSync('openssl', args, { cwd: place, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  openssl(
    'req',
    '-x509',
    ...key,
    '-keyout',
    `${authority}.key`,
    '-out',
    `${authority}.crt`,
    '-days',
    '2',
    '-subj',
    `/CN=${authority}`,
  )
  for (const name of names) {
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', `/CN=${name}`)
    fs.writeFileSync(path.join(place, 'names'), `subjectAltName=DNS:localhost,IP:127.0.0.1,IP:${FAR}\n`)
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      '-CA',
      `${authority}.crt`,
      '-CAkey',
      `${authority}.key`,
      '-CAcreateserial',
      '-out',
      `${name}.crt`,
      '-days',
      '2',
      '-extfile',
      'names',
    )
  }
}

/** A receiver that asks for certificates of `ours`, and a queue with an item. */
async function start(
  place: readonly string[],
  prefix?: readonly string[],
): Promise<{ daemon: Daemon; from: Queue; to: Queue; file: (name: string) => string }> {
  const root = makeDirectory({ quick: true })
  const file = (name: string): string => path.join(root, name)
  certify(root, 'ours', ['receiver', 'sender'])
  certify(root, 'theirs', ['stranger'])
  const to = await Queue.install('q', { root })
  const from = await Queue.install('from', { root })
  await from.enqueue('text')
  const tls = [
    `--tls-cert=${file('receiver.crt')}`,
    `--tls-key=${file('receiver.key')}`,
    `--tls-ca=${file('ours.crt')}`,
  ]
  return { daemon: await Daemon.start(root, tls, place, { prefix }), from, to, file }
}

given(hasOpenssl).test(
  `both sides refuse certificates of another authority${hasOpenssl ? '' : ' (skipped: openssl is not installed)'}`,
  async () => {
    const { daemon, from, to, file } = await start(['127.0.0.1', '0'])
    const read = (name: string): Buffer => fs.readFileSync(file(name))
    const pair = (name: string): PushTls => ({ cert: read(`${name}.crt`), key: read(`${name}.key`) })
    for await (const item of from.scan()) {
      const pushed = async (url: string, tls: PushTls): Promise<unknown> =>
        pushItem(item, url, { queue: 'q', tls })
      const url = daemon.url.replace('http', 'https')
      const ca = read('ours.crt')
      // The receiver is none of theirs, and has another name.
      await expect(pushed(url, { ...pair('sender'), ca: read('theirs.crt') })).rejects.toMatchObject({
        reason: 'denied',
      })
      await expect(pushed(url.replace('127.0.0.1', '127.0.0.2'), { ...pair('sender'), ca })).rejects.toThrow()
      // The sender has no certificate, or one of theirs.
      await expect(pushed(url, { ca })).rejects.toThrow()
      await expect(pushed(url, { ...pair('stranger'), ca })).rejects.toThrow()
      // No TLS at all: that lasts.
      await expect(pushed(daemon.url, {})).rejects.toMatchObject({
        reason: 'missing',
        message: expect.stringContaining('use https://'),
      })
      expect(filesIn(to, 'queue')).toEqual({})
      await pushed(url, { ...pair('sender'), ca })
      expect(filesIn(to, 'queue')).toEqual({ [item.id]: 'text' })
      item.release()
    }
    expect(await daemon.kill('SIGTERM')).toMatchObject({ code: 0 })
    await Promise.all([from.close(), to.close()])
  },
)

const canConnect = hasOpenssl && isRoot && connect()
afterAll(disconnect)

given(canConnect).test(
  `from one machine to another${canConnect ? '' : ' (skipped: it needs openssl, root and ip netns)'}`,
  async () => {
    const [near, far] = NAMES
    const inside = (name: string): readonly string[] => ['ip', 'netns', 'exec', name]
    const { daemon, from, to, file } = await start([FAR, '8181', 'q'], inside(far))
    const [id = ''] = Object.keys(filesIn(from, 'queue'))
    const host = await from.addHost('h')
    fs.renameSync(path.join(from.path, 'queue', id), path.join(host.path, 'queue', id))
    const push = async (...options: readonly string[]): Promise<Ended> => {
      const command = ['push', ...options, `https://${FAR}:8181`, 'from', 'q', 'h', id]
      return new Fsq(from.settings.root, command, { prefix: inside(near) }).ended
    }
    const ca = `--tls-ca=${file('ours.crt')}`
    expect(await push(ca)).toMatchObject({ code: 111 })
    expect(filesIn(to, 'queue')).toEqual({})
    const pair = [`--tls-cert=${file('sender.crt')}`, `--tls-key=${file('sender.key')}`]
    expect(await push(ca, ...pair)).toMatchObject({ code: 0 })
    expect(filesIn(to, 'queue')).toEqual({ [id]: 'text' })
    expect(await daemon.kill('SIGTERM')).toMatchObject({ code: 0 })
    await Promise.all([from.close(), to.close()])
  },
)
