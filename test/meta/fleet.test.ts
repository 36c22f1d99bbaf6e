import { describe, expect, test } from '@jest/globals'

import { Queue } from '../../src/queue.js'
import { Child, argsIn, makeDirectory, until } from '../support/child.js'
import { names } from '../support/queue.js'
import { logFiles, openGuard, workerFiles } from './dead-workers.js'

const INNOCENT = 120
const POISON = 3
const MAX_CRASHES = 3

describe('items that kill their worker', () => {
  test.each([1, 4, 16])(
    'are stopped, and no other item is, in a fleet with concurrency %i',
    async (concurrency) => {
      const root = makeDirectory({ quick: true })
      const queue = await Queue.install('q', { root, durability: 'none' })
      for (let number = 0; number < INNOCENT + POISON; number++) {
        const isPoison = number % Math.ceil(INNOCENT / POISON) === 7 && number < INNOCENT
        queue.enqueueSync('', [isPoison ? 'poison' : 'innocent', String(number)])
      }
      let deaths = 0
      const isOver = (): boolean => names(queue, 'queue').length === 0
      const work = async (): Promise<void> => {
        while (!isOver()) {
          const child = new Child('guarded-worker.mjs', { root, concurrency, maxCrashes: MAX_CRASHES })
          const ending = child.ended
          void until('the queue is empty', isOver).finally(() => {
            child.kill()
          })
          await ending
          expect(child.stderr).toBe('')
          if (!isOver()) deaths++
        }
      }
      await Promise.all([work(), work(), work()])
      const failed = names(queue, 'fail').map((name) => argsIn(name)[0])
      expect(failed).toEqual(Array.from({ length: POISON }, () => 'poison'))
      expect(names(queue, 'done')).toHaveLength(INNOCENT)
      expect(deaths).toBeGreaterThanOrEqual(POISON * MAX_CRASHES - POISON)
      expect(deaths).toBeLessThanOrEqual(POISON * (MAX_CRASHES + 1))
      openGuard(queue).guard.close()
      expect(workerFiles(queue)).toEqual([])
      expect(logFiles(queue).length).toBeLessThanOrEqual(POISON + deaths * concurrency)
      await queue.close()
    },
  )
})
