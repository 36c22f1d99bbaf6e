// The proof: server, forwarder, receiver and worker are killed all the time, and each item arrives once. For longer than 9 s:
//
//     npm run soak:nats -- MINUTES
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { expect, test } from '@jest/globals'

import { HAS_NATS } from '../support/nats-server.js'
import { given } from '../support/needs.js'
import { Chain, ROLES, type Role } from './chain.js'

const SECONDS = Number(process.env['FSQ_SOAK_SECONDS'] ?? 9)
const PATIENCE_MS = 120_000
const suite = given(HAS_NATS).describe

/** Kills parts of the chain, and adds items meanwhile. */
async function rage(
  chain: Chain,
  isOver: () => boolean,
  parts: readonly (Role | 'server')[],
  pause: number,
): Promise<void> {
  const feed = async (): Promise<void> => {
    while (!isOver()) {
      await chain.enqueue(10)
      await later(50)
    }
  }
  const killAll = async (): Promise<void> => {
    while (!isOver()) {
      await later(pause * (0.5 + Math.random()))
      const part = parts[Math.floor(parts.length * Math.random())]
      if (part !== undefined) await chain.kill(part)
    }
  }
  await Promise.all([feed(), killAll()])
}

/** Rages for some seconds, and waits until all is delivered. */
async function survive(chain: Chain): Promise<void> {
  const end = performance.now() + 1000 * SECONDS
  await rage(chain, () => performance.now() > end, [...ROLES, 'server'], 400)
  chain.crash = 0
  await Promise.all(ROLES.map((role) => chain.kill(role)))
  const patience = performance.now() + PATIENCE_MS
  while (!(await chain.isEmpty()) && performance.now() < patience) await later(100)
  console.info(`${chain.variant}: ${chain.enqueued} items, killed: ${JSON.stringify(chain.kills)}`)
}

suite('chaos', () => {
  test(
    'nothing is lost, and nothing arrives twice, with or without the option strict',
    async () => {
      // At the same time, so that both take nine seconds.
      await using whole = await Chain.start('whole', 0.004)
      await using strict = await Chain.start('strict', 0.004)
      const chains = [whole, strict]
      await Promise.all(chains.map(survive))
      for (const chain of chains) {
        const numbers = Array.from({ length: chain.enqueued }, (_, number) => number)
        expect(chain.said.filter((line) => 'held' in line || 'code' in line)).toEqual([])
        expect(chain.failed()).toEqual([])
        expect(chain.twice()).toEqual([])
        expect([...chain.arrived('done')].sort((a, b) => a - b)).toEqual(numbers)
      }
    },
    1000 * SECONDS + 2 * PATIENCE_MS,
  )

  // What a work-queue stream lacks is in sink.test.ts, where a restart comes at the right moment.
  test(
    'it notices what is missing: the ids, or the ledger',
    async () => {
      await using noIds = await Chain.start('no-ids', 0.2)
      await using noLedger = await Chain.start('no-ledger', 0.2)
      const patience = performance.now() + PATIENCE_MS
      const notice = async (chain: Chain): Promise<void> => {
        await rage(chain, () => chain.twice().length > 0 || performance.now() > patience, [], 2000)
        expect(chain.twice().length).toBeGreaterThan(0)
      }
      await Promise.all([noIds, noLedger].map(notice))
    },
    2 * PATIENCE_MS,
  )
})
