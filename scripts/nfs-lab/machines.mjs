// The machines of the lab: an NFS server and two clients, a and b, as processes of qemu without KVM.
import { spawn } from 'node:child_process'
import fs from 'node:fs'
import process from 'node:process'
import readline from 'node:readline'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const REPOSITORY = fileURLToPath(new URL('../..', import.meta.url))
export const FOLDER = `${REPOSITORY}build/nfs-lab`
/** Short, so that the trials are. */
export const LEASE_S = 20
const NETWORK_OF = { a: 1, b: 2 }
export const EXPORT = '/srv/disk/export'

const serving = (leaseS, graceS) => `
  set -e
  mkdir -p /srv/disk /run/rpcbind && mount /dev/vda /srv/disk
  mkdir -p ${EXPORT} /srv/disk/nfs/nfsdcld && chmod 777 ${EXPORT}
  mount --bind /srv/disk/nfs /var/lib/nfs
  mkdir -p /var/lib/nfs/rpc_pipefs && touch /etc/exports /var/lib/nfs/etab /var/lib/nfs/rmtab
  mount -t rpc_pipefs rpc /var/lib/nfs/rpc_pipefs
  mount -t nfsd nfsd /proc/fs/nfsd
  grep -q ^_rpc: /etc/passwd || echo _rpc:x:200:65534::/:/bin/false >> /etc/passwd
  rpcbind && nfsdcld
  exportfs -o rw,sync,no_subtree_check,no_root_squash,fsid=0 '*:${EXPORT}'
  rpc.mountd
  rpc.nfsd -L ${leaseS} -G ${graceS} 4`

function optionsOf(name) {
  const share = (
    id,
    path,
  ) => `-fsdev local,id=${id},path=${path},security_model=none,readonly=on,multidevs=remap
    -device virtio-9p-pci,fsdev=${id},mount_tag=${id}`
  const link = (client, id) => `
    -netdev stream,id=${id},server=${name === 'server' ? 'on' : 'off'},addr.type=unix,addr.path=${linkPath(client)}
    -device virtio-net-pci,netdev=${id},mac=52:54:00:00:0${NETWORK_OF[name] ?? 0}:0${NETWORK_OF[client]}`
  const disk = `-drive file=${FOLDER}/disk,format=raw,if=virtio,cache=writethrough`
  const options = `-accel tcg -cpu max -m 900 -nodefaults -display none -monitor stdio
    -kernel ${FOLDER}/vmlinuz -initrd ${FOLDER}/initramfs.gz -serial file:${FOLDER}/${name}.console
    -append console=ttyS0 quiet net.ifnames=0 MACHINE=${name} NODE=${process.execPath}
    ${share('host', '/')} ${share('packages', `${FOLDER}/root`)} ${share('repo', REPOSITORY)}
    -device virtio-serial-pci -chardev socket,id=agent,fd=3 -device virtserialport,chardev=agent
    ${name === 'server' ? link('a', 'a') + link('b', 'b') + ` ${disk}` : link(name, 'server')}`
  return options.split(/\s+(?=-)/).flatMap((option) => option.split(/(?<=^\S+) /))
}

class Machine {
  #process
  #jobs = new Map()
  #isUp
  #setUp

  constructor(name) {
    this.name = name
    // The machine ends with this process, however that ends.
    this.#process = spawn('setpriv', ['--pdeathsig', 'KILL', 'qemu-system-x86_64', ...optionsOf(name)], {
      stdio: ['pipe', 'ignore', 'inherit', 'pipe'],
    })
    this.#wait()
    const [, , , agent] = this.#process.stdio
    readline.createInterface({ input: agent }).on('line', (line) => this.#take(JSON.parse(line)))
  }

  #wait() {
    this.#isUp = new Promise((resolve) => (this.#setUp = resolve))
  }

  #take({ id, line, code }) {
    if (id === 0) return this.#setUp()
    const job = this.#jobs.get(id)
    if (line !== undefined) job.onLine(line)
    else job.resolve(code)
  }

  async up() {
    await this.#isUp
    await this.sh(`date -u -s @${(Date.now() / 1000).toFixed(3)}`)
  }

  /** Starts a command; `ended` resolves with its exit code or signal. */
  start(run, onLine) {
    const id = this.#jobs.size + 1
    const [, , , agent] = this.#process.stdio
    const ended = new Promise((resolve) => this.#jobs.set(id, { onLine, resolve }))
    agent.write(`${JSON.stringify({ id, run })}\n`)
    return { ended, kill: (signal) => agent.write(`${JSON.stringify({ id, kill: signal })}\n`) }
  }

  /** Runs a command to its end. Returns its exit code and its output. */
  async run(run) {
    const lines = []
    const code = await this.start(run, (line) => lines.push(line)).ended
    return { code, out: lines.join('\n') }
  }

  /** Runs a command that must succeed, and returns its output. */
  async sh(run) {
    const { code, out } = await this.run(run)
    if (code !== 0) throw new Error(`${this.name}: ${run}\nends with ${code}: ${out}`)
    return out
  }

  /** A command of qemu's monitor. */
  monitor(command) {
    this.#process.stdin.write(`${command}\n`)
  }

  async serve(leaseS = LEASE_S, graceS = leaseS) {
    await this.up()
    await this.sh(serving(leaseS, graceS))
  }

  /** As by the button: nothing is written out. */
  async reset(leaseS, graceS) {
    this.#wait()
    this.monitor('system_reset')
    await this.serve(leaseS, graceS)
  }

  /** Mounts the export, by default with vers=4.2 and no other option. */
  async mount(options = 'vers=4.2', point = '/q') {
    await this.sh(
      `umount ${point} 2>/dev/null; mount -t nfs -o ${options} 10.9.${NETWORK_OF[this.name]}.1:${options.startsWith('vers=3') ? EXPORT : '/'} ${point}`,
    )
  }

  end() {
    this.#process.kill('SIGKILL')
  }
}

const linkPath = (client) => `${FOLDER}/link-${client}`

/** Mounts the export on both clients, and waits until the server grants locks: one that has just started has its grace time first. */
export async function mountBoth(a, b) {
  for (const client of [a, b]) await client.mount()
  for (const client of [a, b]) await client.sh('flock /q/.grace true')
  await a.sh('rm /q/.grace')
}

/** Boots the three machines, and mounts the empty export on both clients. */
export async function boot() {
  for (const client of ['a', 'b']) fs.rmSync(linkPath(client), { force: true })
  const server = new Machine('server')
  // The server's are the listening ends.
  while (!fs.existsSync(linkPath('a')) || !fs.existsSync(linkPath('b'))) await later(50)
  const [a, b] = [new Machine('a'), new Machine('b')]
  await Promise.all([server.serve(), a.up(), b.up()])
  await server.sh(`rm -rf ${EXPORT}/*`)
  await mountBoth(a, b)
  return { server, a, b, end: () => [server, a, b].forEach((machine) => machine.end()) }
}
