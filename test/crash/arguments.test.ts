// The functions of the addon, where their arguments cannot be read: JavaScript does not run any more, or passes something else.
import { expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { Child, makeDirectory } from '../support/child.js'

async function makeRoot(): Promise<string> {
  const root = makeDirectory({ quick: true })
  const queue = await Queue.install('q', { root })
  await queue.close()
  return root
}

test('each function in a thread that has been terminated: the process lives', async () => {
  const child = new Child('call-when-terminated.mjs', { root: await makeRoot() }, { faultBuild: true })
  const ending = await child.ended
  expect({ ...ending, stderr: child.stderr, last: child.lines.at(-1) }).toEqual({
    code: 0,
    signal: null,
    stderr: '',
    last: { name: 'dlopen', reached: true },
  })
  expect(child.said('reached').filter(({ reached }) => reached !== true)).toEqual([])
})

test('each function with what it does not take: a TypeError', async () => {
  const child = new Child('misuse-addon.mjs', { root: await makeRoot() })
  expect({ ...(await child.ended), stderr: child.stderr }).toEqual({ code: 0, signal: null, stderr: '' })
  expect(child.said('name').length).toBeGreaterThan(40)
  expect(child.said('name').filter(({ thrown }) => thrown !== 'TypeError')).toEqual([])
  expect(child.said('closed')).toEqual([
    { closed: 'discardDraft', thrown: [null, 'TypeError'] },
    { closed: 'closeQueue', thrown: [null, 'TypeError'] },
  ])
})
