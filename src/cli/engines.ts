/**
 * The engines that `fsq forward` and `fsq receive` reach, by the scheme of a URL. The module of an engine is loaded when a URL names it.
 *
 * @module
 */
import fs from 'node:fs'
import process from 'node:process'

import type { Sink } from '../forward/sink.js'
import type { NatsOptions } from '../nats/options.js'
import type { DeliverySource } from '../receive/delivery.js'
import type { RemoteOptions } from '../remote/types.js'
import type { Settings } from '../settings.js'
import { type Arguments, type OptionTable, UsageError } from './arguments.js'
import type { HandOver } from './hand-over.js'

/** The options of a connection to NATS. */
export const NATS_OPTIONS: OptionTable = {
  stream: { value: 'the name of a stream' },
  creds: { value: 'a file' },
  'tls-ca': { value: 'a file' },
  'tls-cert': { value: 'a file' },
  'tls-key': { value: 'a file' },
  domain: { value: 'a JetStream domain' },
}

/** The options of a push. */
export const PUSH_OPTIONS: OptionTable = {
  'tls-ca': { value: 'a file' },
  'tls-cert': { value: 'a file' },
  'tls-key': { value: 'a file' },
  timeout: { value: 'seconds' },
  connections: { value: 'how many' },
  rate: { value: 'how many in a second' },
  trigger: {},
}

/** A sink that knows from the start if it stores nothing until a user changes something, as with credentials that are refused. */
export type EngineSink = Sink & { readonly lastingError?: Error | undefined }

/** Where items are pushed. */
export interface PushPlace {
  readonly url: string
  /** There. */
  readonly queue: string
}

/** Whether a URL is one of a receiver of pushed items. */
export function isPushUrl(url: string): boolean {
  return /^(https?|unix):/.test(url)
}

/** @throws {@link UsageError} */
export function checkPushUrl(url: string): void {
  if (/^(https?:\/\/[^/]|unix:(\/\/[^/]*)?\/[^/])/.test(url)) return
  throw new UsageError(
    `the URL is '${url.replace(/\/\/.*@/s, '//')}', expected http://host:port, https://host:port or unix:///path`,
  )
}

/** How the receiver is reached. */
export function pushRemote(given: Arguments): RemoteOptions {
  const [ca, cert, key] = ['tls-ca', 'tls-cert', 'tls-key'].map((option) => {
    const file = given.text(option)
    return file === undefined ? undefined : fs.readFileSync(file)
  })
  const timeout = given.number('timeout', 1, 86_400)
  const connections = given.number('connections', 1, 1024)
  return {
    tls: { ca, cert, key },
    connections,
    answerTimeout: timeout === undefined ? undefined : timeout * 1000,
  }
}

/** A sink that pushes items. */
export async function pushTarget(
  given: Arguments,
  { url, queue }: PushPlace,
  settings: Settings,
): Promise<EngineSink> {
  const { pushSink } = await import('../remote.js')
  const name = given.text('name')
  return pushSink({
    ...pushRemote(given),
    url,
    queue,
    rate: given.number('rate', 1),
    trigger: given.has('trigger') ? settings.trigger : undefined,
    ...(name !== undefined && { name }),
  })
}

/** @throws {@link UsageError} unless each URL is one of a server of NATS. */
export function checkNatsUrl(given: Arguments, option: string): string {
  const url = given.text(option) ?? process.env['NATS_URL'] ?? ''
  if (url === '') throw new UsageError(`--${option} is missing`)
  if (url.split(',').every((one) => /^(nats|tls):\/\/[^/]/.test(one.trim()))) return url
  const receivers = option === 'to' ? ', or the http://, https:// or unix:// of an fsq jsonrpcd' : ''
  return given.refuse(
    option,
    `nats://host:port, or tls://host:port to refuse connections without TLS${receivers}`,
  )
}

/** A sink that puts items into a stream. */
export async function natsTarget(given: Arguments, queue: string, handOver: HandOver): Promise<EngineSink> {
  const { natsSink } = await import('../nats.js')
  const objectBucket = given.text('object-bucket')
  const name = given.text('name')
  return natsSink({
    ...natsOptions(given, 'to', handOver),
    stream: needed(given, 'stream'),
    subject: subjectOf(given, queue),
    strict: given.has('strict'),
    ...(objectBucket !== undefined && { objectBucket }),
    ...(name !== undefined && { name }),
  })
}

/** The messages of a consumer. */
export async function natsOrigin(given: Arguments, handOver: HandOver): Promise<DeliverySource> {
  const { jetstreamSource } = await import('../nats.js')
  const name = given.text('name')
  return jetstreamSource({
    ...natsOptions(given, 'from', handOver),
    stream: needed(given, 'stream'),
    consumer: needed(given, 'consumer'),
    ...(name !== undefined && { name }),
  })
}

/** The subject of the messages of a queue. */
export function subjectOf(given: Arguments, queue: string): string {
  return given.text('subject') ?? `fsq.${queue}`
}

/** The value of an option that has to be there. */
export function needed(given: Arguments, option: string): string {
  const text = given.text(option)
  if (text === undefined || text === '') throw new UsageError(`--${option} is missing`)
  return text
}

function natsOptions(given: Arguments, urls: string, handOver: HandOver): NatsOptions {
  const files = {
    caFile: given.text('tls-ca'),
    certFile: given.text('tls-cert'),
    keyFile: given.text('tls-key'),
  }
  const tls = Object.fromEntries(Object.entries(files).filter(([, file]) => file !== undefined))
  const creds = given.text('creds')
  // The client would look for a missing file at each connection, for ever.
  for (const file of [...Object.values(tls), creds ?? process.env['NATS_CREDS']])
    if (file !== undefined && file !== '') fs.accessSync(file, fs.constants.R_OK)
  const domain = given.text('domain')
  return {
    servers: checkNatsUrl(given, urls),
    ...(creds !== undefined && { creds }),
    ...(domain !== undefined && { domain }),
    ...(Object.keys(tls).length > 0 && { connection: { tls } }),
    onWarning: ({ message }) => handOver.note(message),
  }
}
