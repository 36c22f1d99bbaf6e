/** Queues whose workers lock items by fcntl. */
import fs from 'node:fs'
import { fileURLToPath } from 'node:url'

import { beforeEach, expect, test } from '@jest/globals'

import { type Shell, useCommandBed } from '../support/command.js'
import { onLinux } from '../support/needs.js'
import { until } from '../support/queue.js'

const bed = useCommandBed()
const LOCK = fileURLToPath(new URL('../../dist/lock.js', import.meta.url))

beforeEach(async () => {
  const script = 'fsq install --lock-kind=fcntl -m 2700 q && fsq enqueue -e q a && fsq enqueue -e q b'
  expect(await bed.sh(script)).toEqual({ code: 0, stdout: '', stderr: '' })
  // In one second the order of two processes is that of their numbers, which start over some time.
  expect(bed.state()).toEqual({ queue: expect.arrayContaining(['0_a', '0_b']), 'lock-fcntl': 'file' })
})

/** A process that holds a file until the test ends. */
async function hold(file: string): Promise<Shell> {
  const program = `import { tryLockSync } from '${LOCK}'
    tryLockSync(process.argv[1], { kind: 'fcntl' })
    console.log('held')
    setInterval(() => {}, 1e6)`
  const shell = bed.start(`exec node --input-type=module -e "${program}" '${file}'`)
  await until('it is held', () => shell.stdout === 'held\n')
  return shell
}

test('an item that is worked on is neither run by another nor removed', async () => {
  const script = 'fsq scan q echo INNER; fsq rm -s waiting -a q'
  const { code, stdout, stderr } = await bed.sh(`fsq scan -n q sh -c '[ $0 = b ] || { ${script}; exit 0; }'`)
  expect({ code, stdout }).toEqual({ code: 0, stdout: 'INNER b\n' })
  expect(stderr).toMatch(/_a: is being worked on/)
  expect(bed.state()).toEqual({ done: ['0_a', '0_b'], 'lock-fcntl': 'file' })
})

test('rm removes items that no worker holds', async () => {
  const [first = ''] = fs.readdirSync(bed.path('q', 'queue')).sort()
  await hold(bed.path('q', 'queue', first))
  const { code, stderr } = await bed.sh('fsq rm -a q')
  expect(code).toBe(111)
  expect(stderr).toMatch(/_a: is being worked on/)
  expect(bed.state()).toEqual({ queue: ['0_a'], 'lock-fcntl': 'file' })
})

test('repair moves files that no worker holds', async () => {
  bed.plant('README')
  bed.plant('LICENSE')
  await hold(bed.path('q', 'queue', 'README'))
  const { code, stderr } = await bed.sh('fsq repair -y')
  expect(code).toBe(111)
  expect(stderr).toMatch(/README: is being worked on/)
  expect(bed.state()).toMatchObject({ fail: ['LICENSE'], queue: ['README', '0_a', '0_b'] })
})

test('retry moves back what has failed', async () => {
  expect((await bed.sh('fsq scan q false; fsq retry -a q')).code).toBe(0)
  expect(bed.state()['queue']).toEqual(['0_a', '0_b'])
})

onLinux('list tells who works', async () => {
  const [first = ''] = fs.readdirSync(bed.path('q', 'queue')).sort()
  await hold(bed.path('q', 'queue', first))
  expect((await bed.sh('fsq list q')).stdout).toMatch(/^working .*_a\nwaiting .*_b\n$/m)
})

test('audit finds items that not all workers can open for writing, and repair mends them', async () => {
  expect((await bed.sh('fsq audit')).stdout).toBe('')
  expect((await bed.sh('chmod 2770 "$FSQ_ROOT"/q "$FSQ_ROOT"/q/*/; fsq audit')).stdout).toMatch(
    /mode .*not all workers can lock it/,
  )
  expect((await bed.sh('fsq repair && fsq audit')).stdout).toBe('')
  const modes = fs.readdirSync(bed.path('q', 'queue')).map((name) => bed.mode('q', 'queue', name))
  expect(modes).toEqual(['660', '660'])
})

test('install warns where items would be left alone, and refuses other kinds', async () => {
  const { code, stderr } = await bed.sh('fsq install --lock-kind=fcntl shared')
  expect(code).toBe(0)
  expect(stderr).toMatch(/^fsq install: Users other .*0660/)
  expect((await bed.sh('fsq install --lock-kind=posix other')).code).toBe(100)
  expect((await bed.sh('NODE_NO_WARNINGS=1 fsq install --lock-kind=fcntl third')).stderr).toBe('')
})
