/**
 * The promises of a queue on a file system, derived from the features of the file system.
 *
 * @module
 */
import type { LockKind } from '../addon/native.js'

/** Whether a queue keeps a promise, and why. */
export interface Promised {
  /** `unsure`: it depends on facts that one machine cannot find out. */
  readonly kept: 'yes' | 'no' | 'unsure'
  /** A half sentence for messages. */
  readonly reason: string
}

/** The promises of a queue. */
export interface Promises {
  /** Two live workers never hold the same item. */
  readonly claims: Promised
  /** An item appears complete or not at all, and only once. */
  readonly whole: Promised
  /** Nothing in queue/, done/ and fail/ is ever overwritten. */
  readonly noOverwrite: Promised
  /** An item whose enqueue has resolved survives a power cut. */
  readonly durable: Promised
  /** A new item wakes a waiting worker at once; otherwise the worker looks again every second. */
  readonly wakeUps: Promised
  /** A delayed item waits until its delay is over. */
  readonly delays: Promised
  /** Items and queues get the modes that the settings ask for. */
  readonly modes: Promised
  /** The trigger, a FIFO, works. */
  readonly triggers: Promised
  /** A forced install replaces a queue in one step. */
  readonly replacing: Promised
}

/** Whether one feature works. */
export interface Feature {
  readonly works: boolean
  /** Why not: the name of the error, such as `EOPNOTSUPP`, or `no effect` if no call failed. */
  readonly reason?: string
}

/** All features that `probe()` tries. */
export interface Features {
  /** O_TMPFILE: files without a name. */
  readonly unnamedFiles: Feature
  /** Giving such a file a name by linkat(AT_EMPTY_PATH). */
  readonly linkEmptyPath: Feature
  /** Giving such a file a name by /proc/self/fd. */
  readonly linkProcFd: Feature
  /** link(2). */
  readonly hardLinks: Feature
  /** A rename that fails if the new name exists (RENAME_NOREPLACE; RENAME_EXCL on macOS). */
  readonly renameNoReplace: Feature
  /** Exchanging two names (RENAME_EXCHANGE; RENAME_SWAP on macOS). */
  readonly renameExchange: Feature
  /** flock(2) excludes every other open descriptor of the file. */
  readonly flock: Feature
  /** Open-file-description locks of fcntl(2) exclude them, too. */
  readonly ofdLocks: Feature
  /** The kernel notifies a watch of the directory when a file appears (inotify; kqueue on macOS). */
  readonly watch: Feature
  /** The mtime of a file can be later than its ctime, which marks a delayed item. */
  readonly delays: Feature
  /** fchmod(2) has a lasting effect. */
  readonly modes: Feature
  /** mkfifo(2). */
  readonly fifos: Feature
  /** fsync(2) of directories. */
  readonly syncDirectory: Feature
  /** copy_file_range(2), which copies a `{ path }` without reading and writing it. Not used on macOS. */
  readonly copyInKernel: Feature
  /** Copies that share their blocks. */
  readonly reflink: Feature
  /** `a` and `A` are different names. */
  readonly caseSensitive: Feature
}

/** The result of `probe()`: plain data, fit for JSON. */
export interface Probe {
  /** The absolute path of the directory. */
  readonly path: string
  /** The type of the file system, such as `ext4`, `nfs4` or `fuse.sshfs`; its number if the name is unknown. */
  readonly fileSystem: string
  /** The mounted device or share, if the system reports it. */
  readonly source?: string
  /** The number of the device, like `dev` of fs.Stats. */
  readonly device: number
  /** Whether other machines can change it, too. `unknown`: they may (FUSE), or this package does not know the file system. */
  readonly network: boolean | 'unknown'
  /** The most bytes of a file name; 0: unknown. The names of items have 255 at most. */
  readonly nameMax: number
  /** The resolution of file times, in nanoseconds; 0: unknown. */
  readonly timestampStep: number
  /** Which features work there. */
  readonly features: Features
  /** The `lockKind` to install queues with; `null`: no kind of lock works. */
  readonly lockKind: LockKind | null
  /** The promises of a queue there. */
  readonly promises: Promises
}

type Facts = Pick<Probe, 'fileSystem' | 'network' | 'features' | 'timestampStep'>

// The file systems on which the calls that make an item durable were tested with simulated power cuts.
const TRIED = ['ext4', 'xfs', 'btrfs']
const IN_MEMORY = ['tmpfs', 'ramfs', 'devtmpfs']

/**
 * The result of a trial in which workers on two machines worked one queue and none of them died. The key is the type of the mount, or
 * the name by statfs(2).
 */
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

/** The kind of lock to install a queue with; `null`: neither kind works. */
export function fittingLockKind({ network, features }: Facts): LockKind | null {
  // On network file systems, flock often works within one machine only, or is emulated by the other kind.
  const order = network === true ? (['fcntl', 'flock'] as const) : (['flock', 'fcntl'] as const)
  return order.find((kind) => features[kind === 'flock' ? 'flock' : 'ofdLocks'].works) ?? null
}

/** Derives the promises from the facts. */
export function promisesOf(facts: Facts): Promises {
  return {
    claims: claims(facts),
    whole: whole(facts),
    noOverwrite: noOverwrite(facts),
    durable: durable(facts),
    wakeUps: wakeUps(facts),
    delays: delays(facts),
    modes: facts.features.modes.works
      ? yes('modes stay as they are set')
      : no(
          `modes do not stay as they are set${why(facts.features.modes)}: the mount options say who may do what`,
        ),
    triggers: triggers(facts),
    replacing: facts.features.renameExchange.works
      ? yes('two names can be exchanged in one step')
      : no(
          `names cannot be exchanged${why(facts.features.renameExchange)}: for a moment in between, the queue does not exist`,
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
      ? `${here}. Whether other machines see them depends on the server and the mount options: try it with two machines`
      : `${here}. On ${trial.name} workers on 2 machines ran none of ${trial.items} items twice; but a machine that is cut off ` +
          'for longer than the lease of its locks loses them and continues to work',
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
  if (renameNoReplace.works) return yes('a rename can be made to fail if the new name exists')
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
  if (network === true)
    return unsure('it depends on whether the server has really written the data when it says so')
  if (fileSystem === 'overlay') return unsure('it depends on the file system below the overlay')
  if (TRIED.includes(fileSystem)) {
    const made = fileSystem === 'ext4' ? ' with a journal, as it is made by default' : ''
    return yes(`the calls that are made survived simulated power cuts on ${fileSystem}${made}`)
  }
  return unsure(`the calls that are made succeed, but no power cut has been tried on ${fileSystem}`)
}

function wakeUps({ network, features }: Facts): Promised {
  if (!features.watch.works)
    return no(
      `the system does not report changes of a directory${why(features.watch)}: workers look again every second`,
    )
  if (network === true)
    return no('workers are notified only of changes made on this machine: they look again every second')
  if (network === 'unknown') return unsure('workers may not be notified of changes made on other machines')
  return yes('the system reports changes of a directory at once')
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
