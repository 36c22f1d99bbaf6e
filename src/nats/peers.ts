/**
 * The packages of the NATS client, which are optional peers of this package: they are loaded when a sink or a source opens, and not before.
 *
 * @module
 */
import type * as jetstream from '@nats-io/jetstream'
import type * as obj from '@nats-io/obj'
import type * as transport from '@nats-io/transport-node'

import { MissingPeerError } from '../index.js'

/** What a connection needs of the client. */
export interface Peers {
  readonly transport: typeof transport
  readonly jetstream: typeof jetstream
}

/** @throws `MissingPeerError` */
export async function loadPeers(): Promise<Peers> {
  return {
    transport: await load('@nats-io/transport-node', () => import('@nats-io/transport-node')),
    jetstream: await load('@nats-io/jetstream', () => import('@nats-io/jetstream')),
  }
}

/** @throws `MissingPeerError` */
export async function loadObjectStores(): Promise<typeof obj> {
  return load('@nats-io/obj', () => import('@nats-io/obj'))
}

async function load<Module>(name: string, importIt: () => Promise<Module>): Promise<Module> {
  try {
    return await importIt()
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' && code !== 'MODULE_NOT_FOUND') throw error
    throw new MissingPeerError(name, 'fsq/nats', ALL, { cause: error })
  }
}

const ALL = ['@nats-io/transport-node', '@nats-io/jetstream', '@nats-io/obj']
