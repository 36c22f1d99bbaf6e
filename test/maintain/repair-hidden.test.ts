/** Repairs of directories that an uninstallation has left under a hidden name, or is just about to remove. */
import fs from 'node:fs'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/queue.js'
import { until } from '../support/child.js'
import { type Shell, useCommandBed } from '../support/command.js'
import { FAULT_BUILD } from '../support/fault-build.js'

const WORKER = 'h-1-0123456789abcdef'
const bed = useCommandBed()

function startWithFaults(script: string, faults: string): Shell {
  return bed.start(script, { env: { NODE_OPTIONS: `--require="${FAULT_BUILD}"`, FSQ_FAULTS: faults } })
}

function hiddenIn(root: string): string {
  const [name = '', ...more] = fs.readdirSync(root)
  expect(more).toEqual([])
  expect(name).toMatch(/^\.fsq-/)
  return name
}

test('a repair after an uninstallation that was killed keeps the item of a producer that was faster', async () => {
  const queue = await Queue.install('q', { root: bed.root })
  const gate = bed.bed.path('gate')
  const uninstall = startWithFaults('fsq uninstall q', `retire.rename=pause:${gate};retire.rename=kill-after`)
  await until('the queue is about to be hidden', () => fs.existsSync(gate))
  const id = await queue.enqueue('precious')
  fs.unlinkSync(gate)
  expect((await uninstall.ended).code).toBe(137)
  await queue.close()

  const hidden = hiddenIn(bed.root)
  const repair = await bed.sh('fsq repair -y')
  expect(repair).toMatchObject({ code: 111, stderr: expect.stringContaining(`${hidden}: holds items`) })
  fs.renameSync(bed.path(hidden), bed.path('q'))
  expect(await bed.sh('fsq up q; fsq scan q cat')).toMatchObject({ code: 0, stdout: 'precious' })
  expect(fs.readdirSync(bed.path('q', 'done'))).toEqual([id])
})

test('a repair removes what an uninstallation has left that was killed, if no item is in it', async () => {
  await bed.sh('fsq install q')
  const { code } = await startWithFaults('fsq uninstall q', 'retire.rename=kill-after').ended
  expect(code).toBe(137)
  hiddenIn(bed.root)
  expect((await bed.sh('fsq repair -y')).code).toBe(0)
  expect(fs.readdirSync(bed.root)).toEqual([])
})

test('a repair leaves a queue alone that is just being uninstalled', async () => {
  await bed.sh('fsq install q')
  const gate = bed.bed.path('gate')
  const uninstall = startWithFaults('fsq uninstall q', `retire.fsyncroot=pause:${gate}`)
  await until('the queue is hidden', () => fs.existsSync(gate))
  const repair = await bed.sh('fsq repair -y')
  expect(repair).toMatchObject({ code: 111, stderr: expect.stringContaining('is being worked on') })
  expect(fs.existsSync(bed.path(hiddenIn(bed.root), 'queue'))).toBe(true)
  fs.unlinkSync(gate)
  expect(await uninstall.ended).toMatchObject({ code: 0, stderr: '' })
  expect(fs.readdirSync(bed.root)).toEqual([])
})

test.each([['queue/0'], ['hosts/h1/queue/0'], [`claimed/${WORKER}/0`], [`hosts/h1/claimed/${WORKER}/0`]])(
  'a repair keeps a hidden queue with an item in %s as it is',
  async (item) => {
    const hidden = bed.path('.fsq-abcdef')
    await bed.sh(
      `fsq install --claims=rename q && fsq add-host h1 q && fsq add-host h2 q && mv "$FSQ_ROOT/q" "${hidden}" && cd "${hidden}" && mkdir -p ${item} && chmod 2770 queue hosts/*/queue`,
    )
    const before = fs.readdirSync(hidden, { recursive: true }).toSorted()
    expect(before).toContain(item)
    expect(before).toContain('hosts/h2/queue')
    const repair = await bed.sh('fsq repair -y')
    expect(repair).toMatchObject({ code: 111, stderr: expect.stringContaining('.fsq-abcdef: holds items') })
    expect(fs.readdirSync(hidden, { recursive: true }).toSorted()).toEqual(before)
    fs.rmdirSync(`${hidden}/${item}`)
    expect((await bed.sh('fsq repair -y')).code).toBe(0)
    expect(fs.readdirSync(bed.root)).toEqual([])
  },
)
