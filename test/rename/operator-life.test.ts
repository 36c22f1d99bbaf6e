/** What an operator sees of real workers of a queue with claims by renaming. */
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { useCommandBed } from '../support/command.js'
import { drain, until } from '../support/queue.js'

const bed = useCommandBed()

async function json(command: string): Promise<Record<string, unknown>[]> {
  const { stdout } = await bed.sh(command)
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}

test('a worker with an item in hand, and its death', async () => {
  await bed.sh('fsq install --claims=rename q; fsq enqueue -e q a')
  const queue = bed.bed.open({ root: bed.root, durability: 'none' })
  const id = path.basename(bed.only('q', 'queue'))
  const scan = bed.start(`exec fsq scan --lease=5 q sh -c 'echo runs; exec sleep 60'`)
  await until('the program runs', () => scan.stdout.includes('runs'))
  const [worker, ...others] = await queue.workers()
  expect(others).toEqual([])
  expect(worker).toMatchObject({ state: 'running', items: [{ id }] })
  const [item] = await json('fsq list --json q')
  expect(item).toMatchObject({ id, state: 'working', workers: [worker?.pid] })
  expect(item?.['path']).toBe(bed.path('q', 'claimed', worker?.id ?? '', id))
  expect(await bed.sh('fsq audit --exit-code q')).toEqual({ code: 0, stdout: '', stderr: '' })
  expect((await bed.sh(`fsq rm q ${id}`)).stderr).toContain('is being worked on')
  expect(await queue.isEmpty()).toBe(false)

  scan.killGroup('SIGKILL')
  await scan.ended
  expect(await queue.workers()).toEqual([])
  expect(await json('fsq audit --json q')).toMatchObject([{ kind: 'abandoned', fix: null }])
  expect((await bed.sh('fsq scan q true')).code).toBe(0)
  expect(bed.state()).toEqual({ 'claims-rename': 'file', down: 'file', done: ['0_a'] })
  expect(await bed.sh('fsq audit --exit-code q')).toEqual({ code: 0, stdout: '', stderr: '' })
})

test('a queue that has been converted is worked by handles that were open before', async () => {
  const queue = await bed.bed.install({ root: bed.root, durability: 'none' })
  const first = await queue.enqueue('1')
  expect(await drain(queue)).toEqual([first])
  const second = await queue.enqueue('2')
  expect((await queue.repair({ claims: 'rename' })).unmended).toEqual([])
  expect(await drain(queue)).toEqual([second])
  expect(fs.readdirSync(queue.paths.done)).toHaveLength(2)
  await queue.down()
  await expect(drain(queue)).rejects.toThrow(/down-rename exists/)
  await queue.up()
  expect(await drain(queue)).toEqual([])
})
