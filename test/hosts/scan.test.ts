// A scan of all hosts, one of which cannot be scanned.
import { expect, test } from '@jest/globals'

import { type Shell, useCommandBed } from '../support/command.js'
import { until } from '../support/queue.js'

const bed = useCommandBed()
const H = 'export FSQ_ITEM_MODE=666; H="$FSQ_ROOT/q/hosts"'
const SCAN = `q sh -c 'echo "$FSQ_ITEM_HOST $1"' scan`

/** Hosts that everyone may use, with an item each. */
async function install(): Promise<void> {
  const { code } = await bed.sh(`${H}; chmod 755 "$FSQ_ROOT"; umask 0
    fsq install -m 2777 -a h1 -a h2 -a h3 q; fsq enqueue -e q one; fsq host-dist q`)
  expect(code).toBe(0)
}

/** Adds a host, and waits until the scan has found it. */
async function addHost(scan: Shell, host: string): Promise<void> {
  await bed.sh(`${H}; umask 0; fsq add-host -m 2777 ${host} q; fsq -r "$H" enqueue -e ${host} more`)
  await until('the new host is scanned', () => scan.stdout.includes(`${host} more`))
}

test.each([
  ['nobody but root may look into', 'chmod 0 "$H/h2"', 'permission denied'],
  ['lacks a directory', 'rm -r "$H/h2/queue"', 'is missing'],
])('a host that %s keeps no other host waiting, and is told of once', async (_, spoil, says) => {
  await install()
  await bed.sh(`${H}; ${spoil}`)
  const once = await bed.sh(`fsq scan -a ${SCAN}`, { asNobody: true })
  expect(once).toMatchObject({ code: 111, stdout: expect.stringMatching(/^h[13] one\nh[13] one\n$/) })
  expect(once.stderr.match(/\n/g)).toHaveLength(1)

  const scan = bed.start(`exec fsq scan -a --follow ${SCAN}`, { asNobody: true })
  // Each look of the scan for new hosts finds the old one as well.
  await addHost(scan, 'h4')
  scan.process.kill('SIGTERM')
  const { code, stderr } = await scan.ended
  expect([code, stderr.split(says).length - 1]).toEqual([111, 1])
})

test('a host that can be scanned again is scanned, and told of when it cannot be once more', async () => {
  await install()
  const spoil = `${H}; mv "$H/h2/queue" "$H/h2/aside"`
  await bed.sh(spoil)
  const scan = bed.start(`exec fsq scan -a --follow ${SCAN}`, { asNobody: true })
  await until('it is told', () => scan.stderr.includes('is missing'))
  await bed.sh(`${H}; mv "$H/h2/aside" "$H/h2/queue"`)
  await until('it is scanned', () => scan.stdout.includes('h2 one'))
  // The look that finds this host finds the scan of h2 at work.
  await addHost(scan, 'h4')
  await bed.sh(spoil)
  await until('it is told again', () => scan.stderr.match(/is missing/g)?.length === 2)
  scan.process.kill('SIGTERM')
  expect(await scan.ended).toMatchObject({ code: 111 })
})

test('a queue that cannot be looked at any more ends the scan by messages', async () => {
  await install()
  const go = bed.bed.path('go')
  const program = `sh -c 'echo begun; until [ -e "$0" ]; do sleep 0.02; done' '${go}'`
  const scan = bed.start(`exec fsq scan -a --follow q ${program}`, { asNobody: true })
  await until('a program runs', () => scan.stdout.includes('begun'))
  await bed.sh(`chmod 0 "$FSQ_ROOT"; touch '${go}'`)
  const { code, stderr } = await scan.ended
  await bed.sh('chmod 755 "$FSQ_ROOT"')
  expect({ code, stderr }).toEqual({
    code: 111,
    stderr: expect.stringMatching(/^(fsq scan: .*permission denied.*\n)+$/),
  })
})

test('a scan of a host, or of a queue, that is removed says that it is gone, not that it is down', async () => {
  await install()
  const scan = bed.start(`exec fsq scan -A h2 --follow ${SCAN}`)
  await until('the host is scanned', () => scan.stdout.includes('h2 one'))
  await bed.sh('fsq rm-host -f h2 q')
  expect(await scan.ended).toMatchObject({
    code: 111,
    stderr: expect.stringMatching(/^fsq scan: The queue 'q' has no host 'h2' .*\n$/),
  })

  await bed.sh('fsq install q2; fsq enqueue -e q2 one')
  const other = bed.start('exec fsq scan --follow q2 echo')
  await until('the queue is scanned', () => other.stdout !== '')
  await bed.sh('fsq uninstall -f q2')
  expect(await other.ended).toMatchObject({
    code: 111,
    stderr: expect.stringMatching(/^fsq scan: There is no queue 'q2' .*\n$/),
  })
})

test('an error of a host names it as a host', async () => {
  await install()
  await bed.sh(`${H}; chmod 0 "$H/h2"`)
  const { stderr } = await bed.sh(`fsq scan -A h2 ${SCAN}`, { asNobody: true })
  await bed.sh(`${H}; chmod 755 "$H/h2"`)
  expect(stderr).toMatch(/^fsq scan: Cannot .* the host 'h2' of the queue 'q'/)
})
