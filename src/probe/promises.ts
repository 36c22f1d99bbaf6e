/**
 * What a queue can promise on a file system, by what that can do.
 *
 * @module
 */
import type { LockKind } from '../addon/native.js'

/** Whether a promise is kept, and why. */
export interface Promised {
  /** `unsure`: it depends on what cannot be found out from one machine. */
  readonly kept: 'yes' | 'no' | 'unsure'
  /** A half sentence, to be shown. */
  readonly reason: string
}

/** What can be relied on. */
export interface Promises {
  /** Two live workers never have one item. */
  readonly claims: Promised
  /** An item is seen whole or not at all, and once. */
  readonly whole: Promised
  /** Nothing in queue/, done/ and fail/ is ever overwritten. */
  readonly noOverwrite: Promised
  /** An item whose enqueue has resolved survives a power cut. */
  readonly durable: Promised
  /** A worker that waits hears of a new item at once; if not, it looks again every second. */
  readonly wakeUps: Promised
  /** Items with a delay wait so long. */
  readonly delays: Promised
  /** Items and queues get the modes that they are to have. */
  readonly modes: Promised
  /** The trigger, a FIFO, works. */
  readonly triggers: Promised
  /** A forced install replaces a queue in one step. */
  readonly replacing: Promised
}

/** Whether something works. */
export interface Feature {
  readonly works: boolean
  /** Why not: the name of the error, as `EOPNOTSUPP`, or `no effect` where no call failed. */
  readonly reason?: string
}

/** All that is tried. */
export interface Features {
  /** O_TMPFILE: files without a name. */
  readonly unnamedFiles: Feature
  /** Giving them one by linkat(AT_EMPTY_PATH). */
  readonly linkEmptyPath: Feature
  /** Giving them one by /proc/self/fd. */
  readonly linkProcFd: Feature
  /** link(2). */
  readonly hardLinks: Feature
  /** A rename that fails where the name is taken (RENAME_NOREPLACE; RENAME_EXCL on macOS). */
  readonly renameNoReplace: Feature
  /** Exchanging two names (RENAME_EXCHANGE; RENAME_SWAP on macOS). */
  readonly renameExchange: Feature
  /** flock(2) keeps out whoever else has opened the file. */
  readonly flock: Feature
  /** So do open-file-description locks of fcntl(2). */
  readonly ofdLocks: Feature
  /** A new file is told to those who watch the directory (inotify; kqueue on macOS). */
  readonly watch: Feature
  /** A file's mtime can be later than its ctime, which is how an item is delayed. */
  readonly delays: Feature
  /** fchmod(2) is kept. */
  readonly modes: Feature
  /** mkfifo(2). */
  readonly fifos: Feature
  /** fsync(2) of directories. */
  readonly syncDirectory: Feature
  /** copy_file_range(2), which spares reading and writing a `{ path }`. Not used on macOS. */
  readonly copyInKernel: Feature
  /** Copies that share their blocks. */
  readonly reflink: Feature
  /** `a` and `A` are two names. */
  readonly caseSensitive: Feature
}

/** What `probe()` has found out; plain data, fit for JSON. */
export interface Probe {
  /** The directory, absolute. */
  readonly path: string
  /** What the file system is called, as `ext4`, `nfs4` or `fuse.sshfs`; as a number where only that is known. */
  readonly fileSystem: string
  /** What is mounted there, a device or a share, where the system tells. */
  readonly source?: string
  /** The number of the device, as `dev` of fs.Stats. */
  readonly device: number
  /** Whether other machines may change it, too. `unknown`: it may (FUSE), or is not known to this package. */
  readonly network: boolean | 'unknown'
  /** How many bytes a file name may have; 0: unknown. The names of items have 255 at most. */
  readonly nameMax: number
  /** How finely the times of files are kept, in nanoseconds; 0: unknown. */
  readonly timestampStep: number
  /** What works there. */
  readonly features: Features
  /** The `lockKind` to install queues with; `null`: no kind of lock works. */
  readonly lockKind: LockKind | null
  /** What a queue there promises. */
  readonly promises: Promises
}

type Facts = Pick<Probe, 'fileSystem' | 'network' | 'features' | 'timestampStep'>

// Where the calls that make an item durable have been tried with simulated power cuts.
const TRIED = ['ext4', 'xfs', 'btrfs']
const IN_MEMORY = ['tmpfs', 'ramfs', 'devtmpfs']

/** What came of it when workers on two machines worked one queue and none of them died, by the type of the mount or by statfs(2). */
interface Trial {
  readonly name: string
  readonly items: number
  readonly twice: number
}

const SMB: Trial = { name: 'SMB', items: 200, twice: 2 }
const TRIALS: Readonly<Record<string, Trial>> = {
  nfs4: { name: 'NFSv4.2', items: 800, twice: 0 },
  'fuse.ceph-fuse': { name: 'CephFS (ceph-fuse)', items: 800, twice: 0 },
  'fuse.glusterfs': { name: 'GlusterFS', items: 400, twice: 3 },
  cifs: SMB,
  smb3: SMB,
  smb2: SMB,
  smbfs: SMB,
}

const yes = (reason: string): Promised => ({ kept: 'yes', reason })
const no = (reason: string): Promised => ({ kept: 'no', reason })
const unsure = (reason: string): Promised => ({ kept: 'unsure', reason })

function why({ reason }: Feature): string {
  return reason === undefined ? '' : ` (${reason})`
}

/** The kind of lock to install a queue with there; `null`: neither works. */
export function fittingLockKind({ network, features }: Facts): LockKind | null {
  // On network file systems flock is often kept to the machine, or made of the other kind.
  const order = network === true ? (['fcntl', 'flock'] as const) : (['flock', 'fcntl'] as const)
  return order.find((kind) => features[kind === 'flock' ? 'flock' : 'ofdLocks'].works) ?? null
}

/** The promises that follow from what has been found out. */
export function promisesOf(facts: Facts): Promises {
  return {
    claims: claims(facts),
    whole: whole(facts),
    noOverwrite: noOverwrite(facts),
    durable: durable(facts),
    wakeUps: wakeUps(facts),
    delays: delays(facts),
    modes: facts.features.modes.works
      ? yes('modes are kept as they are set')
      : no(`modes are not kept${why(facts.features.modes)}: the mount options say who may do what`),
    triggers: triggers(facts),
    replacing: facts.features.renameExchange.works
      ? yes('two names can be exchanged in one step')
      : no(
          `names cannot be exchanged${why(facts.features.renameExchange)}: there is no queue for a moment in between`,
        ),
  }
}

function claims(facts: Facts): Promised {
  const { fileSystem, features, network } = facts
  const kind = fittingLockKind(facts)
  if (kind === null)
    return no(`neither flock${why(features.flock)} nor fcntl locks${why(features.ofdLocks)} keep others out`)
  const install = kind === 'fcntl' ? ": install with lockKind 'fcntl'" : ''
  if (network === false) return yes(`${kind} locks keep others out, and end with their holder${install}`)
  const trial = TRIALS[fileSystem]
  if (trial !== undefined && trial.twice > 0) {
    return no(
      `on ${trial.name} workers on 2 machines ran ${trial.twice} of ${trial.items} items twice, although their locks held: ` +
        `let one machine work a queue there${install}`,
    )
  }
  const here = `${kind} locks keep out others on this machine${install}`
  return unsure(
    trial === undefined
      ? `${here}. Whether other machines see them is up to the server and the mount options: try it with two machines`
      : `${here}. On ${trial.name} workers on 2 machines ran none of ${trial.items} items twice; but a machine that is cut off ` +
          'for longer than the lease of its locks loses them, and works on',
  )
}

function whole({ features, network }: Facts): Promised {
  const { unnamedFiles, linkEmptyPath, linkProcFd, hardLinks } = features
  const isUnnamed = unnamedFiles.works && (linkEmptyPath.works || linkProcFd.works)
  if (!isUnnamed && !hardLinks.works)
    return no(`there are no links${why(hardLinks)}, so nothing can be enqueued`)
  if (network === true) {
    return unsure(
      'items are linked into place when they are complete, but a link that the network repeats can be reported as failed ' +
        'although it was made: such an item may be enqueued twice',
    )
  }
  return isUnnamed
    ? yes('items are built without a name and get it when they are complete')
    : yes('items are built in tmp/ and linked into place; a producer that is killed may leave one in tmp/')
}

function noOverwrite({ features }: Facts): Promised {
  const { renameNoReplace, hardLinks } = features
  if (renameNoReplace.works) return yes('a rename can be made to fail where the name is taken')
  if (!hardLinks.works) return no(`a rename may replace${why(renameNoReplace)}, and there are no links`)
  return yes(
    `by link and unlink, as a rename may replace${why(renameNoReplace)}; where a crash leaves both names, the next worker ` +
      'completes the move',
  )
}

function durable({ fileSystem, network, features }: Facts): Promised {
  if (IN_MEMORY.includes(fileSystem)) return no(`${fileSystem} is kept in memory`)
  if (!features.syncDirectory.works) {
    return no(
      `directories cannot be made durable${why(features.syncDirectory)}: enqueue with the durability 'none', or elsewhere`,
    )
  }
  if (network === true) return unsure('it is up to the server whether it has written what it says it has')
  if (fileSystem === 'overlay') return unsure('it is up to the file system below the overlay')
  if (TRIED.includes(fileSystem)) {
    const made = fileSystem === 'ext4' ? ' with a journal, as it is made by default' : ''
    return yes(`the calls that are made survived simulated power cuts on ${fileSystem}${made}`)
  }
  return unsure(`the calls that are made succeed, but no power cut has been tried on ${fileSystem}`)
}

function wakeUps({ network, features }: Facts): Promised {
  if (!features.watch.works)
    return no(`changes of a directory are not told${why(features.watch)}: workers look again every second`)
  if (network === true)
    return no('only changes made on this machine are told: workers look again every second')
  if (network === 'unknown') return unsure('changes made elsewhere than on this machine may not be told')
  return yes('changes of a directory are told at once')
}

function delays({ features, timestampStep }: Facts): Promised {
  if (!features.delays.works)
    return no(`the time of a file cannot be set to a later one${why(features.delays)}: items are due at once`)
  if (timestampStep < 1_000_000_000) return yes('times of files are kept to the millisecond or finer')
  return yes(`to ${timestampStep / 1_000_000_000} s, as the file system keeps the times of files`)
}

function triggers({ network, features }: Facts): Promised {
  if (!features.fifos.works) return no(`FIFOs cannot be made${why(features.fifos)}`)
  return network === false
    ? yes('FIFOs can be made')
    : unsure('FIFOs can be made, and reach listeners on this machine only')
}
