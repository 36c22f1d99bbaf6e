import fs from 'node:fs'

import { expect, test } from '@jest/globals'

import { ItemGoneError } from '../../src/errors/classes.js'
import { Taker, isLocked, itemName, names, pathOf, plant, useTestBed } from '../support/queue.js'

const bed = useTestBed()

test('a descriptor that other code closed costs the next claim neither its lock nor its place', async () => {
  const queue = await bed.install()
  plant(queue, itemName({ entropy: '1' }))
  plant(queue, itemName({ entropy: '2' }))
  const taker = new Taker(queue, { prefetch: 1 })

  const first = await taker.take()
  const { fd } = first
  fs.closeSync(fd) // as a stream with autoClose does
  const second = await taker.take()
  expect(second.fd).toBe(fd)
  await expect(first.done()).rejects.toThrow(ItemGoneError)

  expect(isLocked(pathOf(queue, 'queue', second.id))).toBe(true)
  await second.done()
  expect(names(queue, 'done')).toEqual([second.id])
})
