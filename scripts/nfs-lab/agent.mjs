// Process 1 of each machine: runs shell commands for the host. Each line from the host is { id, run } or { id, kill: SIGNAL }; each line to
// it is { id, line }, a line of output, or { id, code }, the end. The first one is { id: 0 }: the machine is up.
import { execSync, spawn } from 'node:child_process'
import fs from 'node:fs'
import process from 'node:process'
import readline from 'node:readline'

const { MACHINE } = process.env
process.env.PATH = '/usr/sbin:/usr/bin:/sbin:/bin'
const NETWORKS = {
  server: ['10.9.1.1/24 dev eth0', '10.9.2.1/24 dev eth1'],
  a: ['10.9.1.2/24 dev eth0'],
  b: ['10.9.2.2/24 dev eth0'],
}
const links = NETWORKS[MACHINE].map(
  (address) => `busybox ip addr add ${address}; busybox ip link set eth${address.at(-1)} up`,
)
execSync([`busybox hostname ${MACHINE}`, 'busybox ip link set lo up', ...links].join('; '))

// It can be opened only once.
const port = fs.openSync(`/dev/${fs.readdirSync('/dev').find((name) => name.startsWith('vport'))}`, 'r+')
const say = (message) => fs.writeSync(port, `${JSON.stringify(message)}\n`)
const children = new Map()

readline.createInterface({ input: fs.createReadStream('', { fd: port }) }).on('line', (text) => {
  const { id, run, kill } = JSON.parse(text)
  if (kill !== undefined) return children.get(id)?.kill(kill)
  const child = spawn('/bin/sh', ['-c', `exec 2>&1; ${run}`], { stdio: ['ignore', 'pipe', 'ignore'] })
  children.set(id, child)
  readline.createInterface({ input: child.stdout }).on('line', (line) => say({ id, line }))
  child.on('close', (code, signal) => say({ id, code: code ?? signal }))
})
say({ id: 0 })
