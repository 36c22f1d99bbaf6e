import { existsSync, readFileSync, readdirSync, statfsSync } from 'node:fs'
import { basename } from 'node:path'

// The types by statfs(2). ext2, ext3 and ext4 share one.
const TYPES = {
  0xef53: 'ext2/3/4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x01021994: 'tmpfs',
  0x794c7630: 'overlayfs',
  0x6969: 'nfs',
  0x2fc12fc1: 'zfs',
  0xf2f52010: 'f2fs',
  0x65735546: 'fuse',
}

/** The file system of a folder: its type by statfs(2); its mount point, device and type by /proc/self/mountinfo. */
export function fileSystemOf(folder) {
  const magic = statfsSync(folder).type
  const mount = mountOf(folder)
  const type = mount?.type ?? TYPES[magic] ?? 'unknown'
  return {
    type,
    magic: `0x${magic.toString(16)}`,
    mountPoint: mount?.mountPoint,
    device: mount?.device,
    journal: type === 'ext4' || type === 'ext3' ? hasJournal(mount.device) : undefined,
  }
}

/** The same as one line. */
export function describe({ type, magic, mountPoint, device, journal }) {
  const where = mountPoint === undefined ? '' : `, ${device} on ${mountPoint}`
  return `${type} (statfs ${magic}${keptBy(journal)}${where})`
}

/** The same without the place. */
export function describeType({ type, journal }) {
  return `${type}${keptBy(journal)}`
}

function keptBy(journal) {
  if (journal === undefined) return ''
  return journal ? ', journaled' : ', without a journal'
}

function mountOf(folder) {
  if (!existsSync('/proc/self/mountinfo')) return undefined
  const mounts = readFileSync('/proc/self/mountinfo', 'utf8').trimEnd().split('\n').map(parseMount)
  // If several share a mount point, the last one covers the others.
  return mounts
    .filter(({ mountPoint }) => isWithin(folder, mountPoint))
    .reduce(
      (best, mount) => (mount.mountPoint.length >= (best?.mountPoint.length ?? 0) ? mount : best),
      undefined,
    )
}

// 36 35 98:0 /root /mount/point rw,noatime master:1 - ext3 /dev/root rw,errors=continue
function parseMount(text) {
  const [own, rest] = text.split(' - ')
  const [type, device] = rest.split(' ')
  return { mountPoint: unescaped(own.split(' ')[4]), type, device: unescaped(device) }
}

function unescaped(text) {
  return text.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
}

function isWithin(folder, mountPoint) {
  return mountPoint === '/' || folder === mountPoint || folder.startsWith(`${mountPoint}/`)
}

// jbd2 has a directory for each journal: vda-8 or loop0-8, where 8 is the inode number of the journal.
function hasJournal(device) {
  const journals = '/proc/fs/jbd2'
  return existsSync(journals) && readdirSync(journals).some((name) => name.startsWith(`${basename(device)}-`))
}
