import { expect, test } from '@jest/globals'

import { inParallel, makeDirectory } from '../support/child.js'
import { SCENARIOS } from '../support/scenarios.mjs'
import { type ScenarioName, trace } from './kill.js'

// Reached by what the other tests of this folder do, and by no scenario.
const ELSEWHERE: readonly string[] = [
  'install.cleanup',
  // Of queues with a trigger: test/hosts.
  'install.fifo',
  // Only of an item whose descriptor was asked for.
  'finish.fstat',
  // Only root gives files away.
  'log.chown',
  // Of queues whose claims are renames: test/rename.
  ...['enqueue.delayed', 'finish.delayed', 'claim.access', 'claim.rename', 'item.open', 'fence.read'],
  ...['guard', 'mkdir', 'chown', 'chmod', 'own', 'open', 'write', 'lock', 'look', 'fsync'].map(
    (call) => `worker.${call}`,
  ),
  ...['worker.disown', 'worker.unlink', 'worker.rmdir', 'finish.disown'],
  ...['open', 'lock', 'disown', 'look', 'read'].map((call) => `takeover.${call}`),
  // Of a receiver: test/receive.
  ...['receive.look', 'receive.rename'],
  // Of done items above the limits of a worker: test/work/retention.
  ...['prune.stat', 'prune.unlink'],
  ...['lock.look', 'lock.open', 'lock.fstat', 'lock.lock', 'lock.stat'],
]
// On the way of no item: they fail in the tests of waiting and of the trigger.
const NO_ITEM: readonly string[] = ['trigger.mkfifo', 'trigger.open', 'watch.add', 'watch.init', 'watch.read']

test('each fault point that there is lies on the way of a scenario that is killed at it', async () => {
  const reached = new Set([...ELSEWHERE, ...NO_ITEM])
  let all: readonly string[] = []
  await inParallel(SCENARIOS as ScenarioName[], 3, async (name) => {
    const { calls, points } = await trace(name, makeDirectory({ quick: true }))
    all = points
    for (const { point } of calls) reached.add(point)
  })
  expect([...reached].toSorted()).toEqual(all.toSorted())
}, 120_000)
