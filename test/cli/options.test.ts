// Where options may stand, and output that no process reads.
import { expect, test } from '@jest/globals'

import { useCommandBed } from '../support/command.js'

const bed = useCommandBed()

test.each([
  ['fsq list --json q', 'q'],
  ['fsq list q --json', 'q'],
])('%s: options may follow operands', async (script) => {
  await bed.sh('fsq install q; fsq enqueue -e q a')
  const { code, stdout } = await bed.sh(script)
  expect(code).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ queue: 'q', args: ['a'] })
})

test('-- ends the options', async () => {
  const { code, stderr } = await bed.sh('fsq install q; fsq list -- --json')
  expect(code).toBe(111)
  expect(stderr).toContain("no queue '--json'")
})

test('all after the queue is arguments of the item, and all after the program is the program’s', async () => {
  await bed.sh('fsq install q')
  await bed.sh('fsq enqueue -e q a -v --id')
  expect(bed.state()).toEqual({ queue: ['0_a_-v_--id'] })
  const { stdout } = await bed.sh('fsq scan q printf "%s " -n --')
  expect(stdout).toBe('-n -- a -v --id ')
})

test('a reader that has seen enough: no message, and not a success', async () => {
  await bed.sh('fsq install q; seq 20000 | sed \'s/.*/["&"]/\' | fsq enqueue --batch q')
  const { stdout, stderr } = await bed.sh('{ fsq list q; echo "code $?" >&2; } | head -n 1')
  expect(stdout).toMatch(/^STATE .*\n$/)
  expect(stderr).toBe('code 111\n')
})

test.each(['', 'NO_COLOR=1'])(
  'an output that is no terminal gets no colours and no progress (%s)',
  async (setting) => {
    await bed.sh('fsq install q; fsq down q')
    const script = `${setting} fsq list; ${setting} fsq prune -o 1d q 2>&1; echo '["a"]' | ${setting} fsq enqueue --batch q 2>&1`
    const { stdout, stderr } = await bed.sh(script)
    const text = stdout + stderr
    expect([text.includes('\x1b'), text.includes('\r')]).toEqual([false, false])
  },
)
