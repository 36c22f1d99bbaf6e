// fsq jsonrpcd and fsq push, as commands.
import { spawnSync } from 'node:child_process'
import fs from 'node:fs'

import { expect, test } from '@jest/globals'

import { makeDirectory, until } from '../support/child.js'
import { useCommandBed } from '../support/command.js'
import { given } from '../support/needs.js'
import { Fsq } from './daemon.js'
import { I } from './server.js'

// The path of a socket has room for about a hundred bytes.
const bed = useCommandBed({ quick: true })
const hasOpenssl = spawnSync('openssl', ['version']).status === 0

const HOST_ITEM = `mkdir -p queues/src/hosts/h1/tmp queues/src/hosts/h1/queue queues/src/hosts/h1/done queues/src/hosts/h1/fail
  printf text > queues/src/hosts/h1/queue/${I}`
/** Starts a receiver on a socket, and waits for it. */
const START = (options: string): string =>
  `rm -f log; fsq jsonrpcd ${options} "unix://$PWD/socket" trg 2> log & D=$!
  until grep -qs starting log; do kill -0 $D || exit 9; done`

test('a receiver without credentials listens on no other address than a loopback one', async () => {
  const { code, stderr } = await bed.sh('fsq jsonrpcd 0.0.0.0 0')
  expect({ code, stderr }).toMatchObject({ code: 100, stderr: expect.stringContaining('--credentials') })
})

test('items come over a unix socket with credentials only, and SIGTERM ends the receiver', async () => {
  const { code, stdout, stderr } = await bed.sh(`cd "$FSQ_ROOT/.."; fsq install src trg; ${HOST_ITEM}
    printf secret | fsq jsonrpcd --add-user=u --credentials=users || exit 8
    ${START('--credentials=users')}
    fsq push "unix://$PWD/socket" src trg h1 ${I}; echo $?
    fsq push --follow -1 "unix://u:secret@localhost$PWD/socket" src trg h1; echo $?
    kill $D; wait $D; echo $?`)
  expect({ code, stdout, stderr }).toMatchObject({ code: 0, stdout: '111\n0\n0\n' })
})

test('--add-user keeps the mode of the file, the other users and a link to it', async () => {
  const { stdout, stderr } =
    await bed.sh(`cd "$FSQ_ROOT/.."; printf old | fsq jsonrpcd --add-user=u --credentials=users
    printf other | fsq jsonrpcd --add-user=v --credentials=users
    stat -c %a users; chmod 640 users; ln -s users link
    printf new | fsq jsonrpcd --add-user=u --credentials=link; echo $?
    stat -c %a users; test -h link && echo link; cut -d: -f1 users; ls users*`)
  expect({ stdout, stderr }).toMatchObject({ stdout: '600\n0\n640\nlink\nv\nu\nusers\n', stderr: '' })
})

test('one item and a whole host come over a unix socket', async () => {
  const { stdout, stderr } = await bed.sh(`cd "$FSQ_ROOT/.."; fsq install src trg; ${HOST_ITEM}
    ${START('')}
    fsq push "unix://$PWD/socket" src trg h1 ${I}; echo $?; ls queues/src/hosts/h1/queue
    flock queues/src/hosts/h1/queue/${I} fsq push "unix://$PWD/socket" src trg h1 ${I}; echo $?
    flock queues/src/hosts/h1/queue/${I} fsq push -L "unix://$PWD/socket" src trg h1 ${I}; echo $?
    fsq push --follow -1 "unix://$PWD/socket" src trg h1; echo $?; ls queues/src/hosts/h1/done queues/trg/queue
    kill $D; wait $D; echo $?`)
  expect(stdout).toBe(`0\n${I}\n111\n0\n0\nqueues/src/hosts/h1/done:\n${I}\n\nqueues/trg/queue:\n${I}\n0\n`)
  expect(stderr).toContain('-L')
})

test('an item is found also where the path of its queue is not ASCII', async () => {
  const { stdout, stderr } = await bed.sh(`cd "$FSQ_ROOT/.."; mkdir größe; export FSQ_ROOT="$PWD/größe"
    fsq install src trg; ${HOST_ITEM.replaceAll('queues', 'größe')}
    ${START('')}
    fsq push "unix://$PWD/socket" src trg h1 ${I}; echo $?; ls größe/trg/queue; kill $D; wait $D; echo $?`)
  expect({ stdout, stderr }).toEqual({ stdout: `0\n${I}\n0\n`, stderr: '' })
})

given(hasOpenssl).test(
  `TLS: the certificate is verified, and senders need one of the authority${hasOpenssl ? '' : ' (skipped: openssl is not installed)'}`,
  async () => {
    const { stdout } = await bed.sh(`cd "$FSQ_ROOT/.."; fsq install src trg; ${HOST_ITEM}
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key -out cert -days 2 -subj /CN=localhost \
      -addext subjectAltName=DNS:localhost,IP:127.0.0.1 2>&1 || exit 7
    fsq jsonrpcd --tls-cert=cert --tls-key=key --tls-ca=cert 127.0.0.1 0 trg 2> log & D=$!
    until grep -q starting log; do kill -0 $D || exit 9; done
    P=$(sed 's/.*://' log)
    fsq push https://127.0.0.1:$P src trg h1 ${I} 2>> err; echo $?
    fsq push --tls-ca=cert https://127.0.0.1:$P src trg h1 ${I} 2>> err; echo $?
    ls queues/trg/queue
    fsq push --tls-ca=cert --tls-cert=cert --tls-key=key https://127.0.0.1:$P src trg h1 ${I}; echo $?
    ls queues/trg/queue; kill $D; wait $D`)
    expect(stdout.split('\n').slice(-5)).toEqual(['111', '111', '0', I, ''])
    expect(fs.existsSync(bed.root)).toBe(true)
  },
)

test('certificates that cannot be used are an error of one line that says so, in each command', async () => {
  const { stdout, stderr } =
    await bed.sh(`cd "$FSQ_ROOT/.."; fsq install src trg; ${HOST_ITEM}; echo text > bad
    T="--tls-cert=bad --tls-key=bad"; U="https://127.0.0.1:1"
    fsq jsonrpcd $T 127.0.0.1 0; echo $?
    fsq push $T $U src trg h1 ${I}; echo $?
    timeout 20 fsq push --follow $T $U src trg h1; echo $?`)
  expect(stdout).toBe('111\n111\n111\n')
  const lines = stderr.trim().split('\n')
  expect(lines.map((line) => line.includes('for TLS cannot be used'))).toEqual([true, true, true])
})

test.each([
  'jsonrpcd --tls-cert=/nope --tls-key=/nope 127.0.0.1 0',
  'jsonrpcd --credentials=/nope 127.0.0.1 0',
  'push --tls-ca=/nope https://127.0.0.1:1 q q h i',
])('fsq %s: the message is about the missing file, not about a queue', async (command) => {
  const { code, stderr } = await bed.sh(`fsq ${command}`)
  expect({ code, stderr }).toEqual({
    code: 111,
    stderr: expect.stringMatching(/^fsq \w+: ENOENT: .*'\/nope'\. Check that it exists\n$/),
  })
})

test('a socket that a killed receiver has left is taken, and no other file', async () => {
  const { stdout, stderr } = await bed.sh(`cd "$FSQ_ROOT/.."; fsq install trg
    ${START('')}
    fsq jsonrpcd "unix://$PWD/socket" trg; echo $?
    kill -9 $D; wait $D
    ${START('')}
    kill $D; wait $D; echo $?
    echo text > socket; fsq jsonrpcd "unix://$PWD/socket" trg; echo $?; cat socket`)
  expect(stdout).toBe('111\n0\n111\ntext\n')
  expect(stderr).toContain('EADDRINUSE')
})

test('a receiver says which of its queues are missing, and refuses a name that no queue can have', async () => {
  const root = makeDirectory({ quick: true })
  const wrong = await new Fsq(root, ['jsonrpcd', '127.0.0.1', '0', '../x']).ended
  expect({ code: wrong.code, stderr: wrong.stderr }).toEqual({
    code: 111,
    stderr: expect.stringContaining("'../x' cannot be the name of a queue"),
  })
  const receiving = new Fsq(root, ['jsonrpcd', '127.0.0.1', '0', 'nosuchq'])
  await until('it is told', () => receiving.stderr.includes("There is no queue 'nosuchq'"))
  expect(await receiving.kill('SIGTERM')).toMatchObject({ code: 0 })
})
