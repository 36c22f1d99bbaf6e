/**
 * The promises of a queue that two machines work, derived from what their processes have tried with each other.
 *
 * @module
 */
import type { Feature, Promised } from '../promises.js'
import type { PeerClocks, PeerNames, PeerRenames, PeerSight, PeerTargets } from './trials.js'

/** The promises of a queue that both machines work. */
export interface PeerPromises {
  /** Claims by locks: two live workers never hold one item. */
  readonly lockClaims: Promised
  /** Claims by renames: two live workers never hold one item, unless a machine is cut off or stands still for longer than the lease. */
  readonly renameClaims: Promised
  /** Claims by renames: an item is finished once, and nothing is overwritten. */
  readonly finishedOnce: Promised
  /** Claims by renames: a worker that has lost its items is told before another one begins with them. */
  readonly toldBefore: Promised
  /** Claims by renames: `item.claim` is larger with each claim of an item. */
  readonly claimNumbers: Promised
  /** A delayed item waits until its delay is over, also for workers of the other machine. */
  readonly delays: Promised
  /** Ages and delays are right to a second. */
  readonly clocks: Promised
}

/** What the two processes have found. */
export interface PeerFacts {
  /** Both processes run on one kernel, so the result says nothing about two machines. */
  readonly oneMachine: boolean
  /** Why several machines cannot work a queue on the mount of this machine: its options. Empty: they can. */
  readonly refusals: readonly string[]
  /** How many such reasons the other machine has. */
  readonly refusalsOfPeer: number
  /** How long the server keeps the locks of a machine that is cut off, in milliseconds; `null`: the system does not say. */
  readonly lease: number | null
  readonly clocks: PeerClocks
  /** How soon a new file is seen. */
  readonly sight: PeerSight
  readonly locks: { readonly fcntl: Feature; readonly flock: Feature }
  readonly names: PeerNames
  readonly renames: PeerRenames
  readonly targets: PeerTargets
  readonly delays: Feature
}

const CLOCKS_MS = 1_000

const yes = (reason: string): Promised => ({ kept: 'yes', reason })
const no = (reason: string): Promised => ({ kept: 'no', reason })
const unsure = (reason: string): Promised => ({ kept: 'unsure', reason })

const NO_CLAIMS = no('claims by renames are not safe')

/** Derives the promises from the facts. */
export function peerPromisesOf(facts: PeerFacts): PeerPromises {
  const renameClaims = renames(facts)
  return {
    lockClaims: locks(facts),
    renameClaims,
    finishedOnce: renameClaims.kept === 'no' ? NO_CLAIMS : targets(facts),
    toldBefore: renameClaims.kept === 'no' ? NO_CLAIMS : lease(facts),
    claimNumbers: claimNumbers(facts),
    delays: facts.delays.works
      ? yes('a time in the future that one machine sets is seen by the other')
      : no(`a time in the future is not kept${why(facts.delays)}: items are due at once`),
    clocks: clocks(facts),
  }
}

/** Why no queue for two machines is kept here, whatever its claims are. */
function obstacle({
  refusals,
  refusalsOfPeer,
  locks: { fcntl, flock },
  renames: { races, twice, lost },
}: PeerFacts): string {
  if (refusals.length > 0) return refusals.join('; ')
  if (refusalsOfPeer > 0) return 'the mount of the other machine has options that forbid it: see its output'
  if (!fcntl.works && !flock.works) {
    return (
      `neither fcntl locks${why(fcntl)} nor flock${why(flock)} exclude the other machine, so it does not know which worker ` +
      'is dead: check the mount options for nolock, local_lock, localflock and nobrl'
    )
  }
  if (twice > 0) return `of ${races} renames that both machines made at a time, ${twice} succeeded in both`
  return lost > 0 ? `of ${races} renames that both machines made at a time, ${lost} succeeded in neither` : ''
}

/** Why a worker could take the lock of a live one, in a queue whose claims are renames; empty: it could not. */
function stolen({ locks: { fcntl, flock } }: PeerFacts): string {
  // Workers use flock only where fcntl locks are refused.
  if (fcntl.works || (fcntl.reason === 'EINVAL' && flock.works)) return ''
  return `fcntl locks${why(fcntl)} do not exclude the other machine, so it would take live workers for dead ones`
}

function locks(facts: PeerFacts): Promised {
  const { looks, staleAfterAsking } = facts.names
  const reason = obstacle(facts)
  if (reason !== '') return no(reason)
  if (staleAfterAsking > 0) {
    return no(
      `names are stale: a look still found ${staleAfterAsking} of ${looks} files that the other machine had moved away, so items would ` +
        'run twice although the locks hold',
    )
  }
  const kind = facts.locks.fcntl.works ? 'fcntl' : 'flock'
  return yes(
    `${kind} locks exclude the other machine, and none of ${looks} names was stale after asking the server`,
  )
}

function renames(facts: PeerFacts): Promised {
  const { looks, renamed } = facts.names
  const reason = obstacle(facts) || stolen(facts)
  if (reason !== '') return no(reason)
  if (renamed > 0)
    return no(
      `a rename found ${renamed} of ${looks} files under names from which the other machine had moved them`,
    )
  return yes(`each of ${facts.renames.races} names that both machines renamed at a time went to one of them`)
}

function targets({ targets: { link, renameNoReplace } }: PeerFacts): Promised {
  // Where it seems to work, fsq uses it.
  if (renameNoReplace.reason === 'no effect')
    return no('a rename that must not replace has replaced a file of the other machine')
  if (renameNoReplace.works) return yes('a rename that must not replace refuses a name of the other machine')
  if (link.works) return yes('link refuses a name that the other machine has made')
  return no(
    `neither link${why(link)} nor rename${why(renameNoReplace)} refuses a name that the other machine has made`,
  )
}

function lease(facts: PeerFacts): Promised {
  if (facts.lease !== null) return yes(`the lease of the server is ${duration(facts.lease)}`)
  return unsure(
    'it depends on how long the server keeps the locks of a machine that is cut off, which this system does not say: set the ' +
      'lease of the queue (FSQ_LEASE) to that time',
  )
}

function claimNumbers({ clocks: { stampsApart, stampsUncertainty } }: PeerFacts): Promised {
  if (Math.abs(stampsApart) <= stampsUncertainty)
    return yes('both machines get the times of files from one clock')
  return no(
    `each machine sets the times of files by its own clock, and these are ${duration(Math.abs(stampsApart))} apart: ` +
      'let both follow one time server',
  )
}

function clocks({ clocks: { apart, uncertainty } }: PeerFacts): Promised {
  const distance = `the clocks are ${duration(Math.abs(apart))} apart`
  if (Math.abs(apart) <= CLOCKS_MS + uncertainty) return yes(distance)
  return no(
    `${distance}, and ages, delays and the order of items are off by as much: let both follow one time server`,
  )
}

function why({ reason }: Feature): string {
  return reason === undefined ? '' : ` (${reason})`
}

/** A time in milliseconds, in words. */
export function duration(milliseconds: number): string {
  return milliseconds < CLOCKS_MS
    ? `${Math.round(milliseconds)} ms`
    : `${Math.round(milliseconds / 100) / 10} s`
}
