// The proof: server, forwarder, receiver and worker are killed all the time, and each item arrives once. For longer than 20 s:
//
//     npm run soak:nats -- MINUTES
import process from 'node:process'
import { setTimeout as later } from 'node:timers/promises'

import { expect, test } from '@jest/globals'

import { HAS_NATS } from '../support/nats-server.js'
import { given } from '../support/needs.js'
import { Chain, ROLES, type Role } from './chain.js'

const SECONDS = Number(process.env['FSQ_SOAK_SECONDS'] ?? 20)
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

suite('chaos', () => {
  test(
    'nothing is lost, and nothing arrives twice',
    async () => {
      await using chain = await Chain.start('whole', 0.003)
      const end = performance.now() + 1000 * SECONDS
      await rage(chain, () => performance.now() > end, [...ROLES, 'server'], 500)
      chain.crash = 0
      for (const role of ROLES) await chain.kill(role)
      const patience = performance.now() + PATIENCE_MS
      while (!(await chain.isEmpty()) && performance.now() < patience) await later(100)
      const numbers = Array.from({ length: chain.enqueued }, (_, number) => number)
      const failures = chain.said.filter((line) => 'held' in line || 'code' in line)
      console.info(`${chain.enqueued} items, killed: ${JSON.stringify(chain.kills)}`)
      expect(failures).toEqual([])
      expect(chain.failed()).toEqual([])
      expect(chain.twice()).toEqual([])
      expect([...chain.arrived('done')].sort((a, b) => a - b)).toEqual(numbers)
    },
    1000 * SECONDS + 2 * PATIENCE_MS,
  )

  // What a work-queue stream lacks is in sink.test.ts, where a restart comes at the right moment.
  test.each<['no-ids' | 'no-ledger']>([['no-ids'], ['no-ledger']])(
    'it notices what is missing: %s',
    async (variant) => {
      await using chain = await Chain.start(variant, 0.2)
      const patience = performance.now() + PATIENCE_MS
      await rage(chain, () => chain.twice().length > 0 || performance.now() > patience, [], 2000)
      expect(chain.twice().length).toBeGreaterThan(0)
    },
    2 * PATIENCE_MS,
  )
})
