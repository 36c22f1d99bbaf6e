/**
 * Takes items that other machines push, each once: the directory received/push/ of a queue (fsq standard, section 12).
 *
 *     turn ──> looked for: ledger, queue/, done/, fail/
 *               ├─ there with equal contents ──> known
 *               ├─ there with other contents ──> an error
 *               └─ new: in staged/ and `+`, both durable; `=`, renamed to queue/ ──> taken
 *
 * A sender names its item, so a look at the ledger, a look at the queue and the entry have to be one step. A receiver locks the file
 * `turn` for it. All items that wait share one turn, and so one fsync of the ledger and one of staged/. Contents that are a stream or large are
 * staged before the turn, under another name. Several receivers, also of several processes, may
 * take items for one queue: each reads what the others have written since its last turn.
 *
 * Each receiver holds a shared lock on `lock`. One that finds itself alone at its start completes what dead ones have left in staged/.
 *
 * @module
 */
import { Buffer } from 'node:buffer'
import { createHash, randomBytes } from 'node:crypto'
import fs, { constants } from 'node:fs'
import path from 'node:path'
import os from 'node:os'
import { inspect } from 'node:util'

import { LockOperation, packLock } from '../addon/packing.js'
import { native } from '../addon/native.js'
import { claimKindSync } from '../directory/claim-kind.js'
import { placePath } from '../directory/layout.js'
import { checkQueue } from '../directory/presence.js'
import { MalformedNameError, NotDurableError, ReceivingError } from '../errors/classes.js'
import { codeOf, failureOf } from '../errors/errno.js'
import { fileSystemError } from '../errors/system-error.js'
import { namesOf } from '../inspect/names.js'
import { Slices } from '../inspect/slices.js'
import { PLACES, STATES, parseIfItem } from '../inspect/states.js'
import type { ItemContext } from '../item/context.js'
import { type MetaAccess, MetaDirectory } from '../meta/directory.js'
import { SAFELY, isAt, tryLock } from '../meta/files.js'
import { type RawName, printable, toRaw, bytePath } from '../name/charset.js'
import { itemKey, parseItemName, withTries } from '../name/item-name.js'
import { isFileName } from '../name/limits.js'
import type { Queue } from '../queue.js'
import { performance, setTimeout } from '../real-timers.js'
import type { Shape } from '../schema/shape.js'
import { type ReceivedLayout, receivedLayout } from './layout.js'
import { Ledger, type LedgerEntry } from './ledger.js'
import { hashOf } from './ledger-table.js'
import { makeDurably, openLock } from './spool.js'
import { Staging } from './staging.js'

const { EEXIST, ENOENT } = os.constants.errno
const { O_CLOEXEC = 0, O_RDONLY } = constants as typeof constants & { O_CLOEXEC?: number }
const MOST_IN_TURN = 256
/** Larger contents, in bytes, are staged before their turn: the others need not wait for that. */
const STAGED_IN_TURN = 65_536
const TURN_MS = 1
/** How long a turn waits for items of the senders that had items in the last one. */
const GATHER_MS = 1
/** A process that keeps the turn for longer has been stopped, or its file system hangs. */
const LONGEST_TURN_MS = 10_000
const LIFE_MS = 50
const MOST_LIFE_TRIES = 200
const TOKEN_BYTES = 32
/** Items with more tries than this are found by a list of retried items, which is made at the start. */
const LIKELY_TRIES = 2
const ROUNDS = 3

/** Contents of a pushed item: in memory, or as they come, of a known size. */
export type PushedContents =
  | Uint8Array
  | { readonly size: number; readonly chunks: AsyncIterable<Uint8Array>; readonly signal?: AbortSignal }

/** @internal The item is in the queue, or was, with other contents. */
export class OtherContents extends Error {
  constructor() {
    super('An item of this name is here with other contents')
  }
}

/** @internal The chunks had another size than was said. */
export class OtherSize extends Error {
  constructor() {
    super('The contents do not have the size that was said')
  }
}

type Answer = 'taken' | 'known'

interface Pushed {
  /** With tries 0. */
  readonly name: RawName
  readonly key: RawName
  /** Of the entry in the ledger. */
  readonly id: string
  readonly size: number
  readonly digest: string
  /** The name in staged/, or contents that are staged in the turn; `undefined`: nothing is staged. */
  readonly staged: RawName | Uint8Array | undefined
}

interface Waiting {
  readonly pushed: Pushed
  /** `unstaged`: the item is new, and has to be staged first. */
  readonly resolve: (answer: Answer | 'unstaged') => void
  readonly reject: (error: unknown) => void
}

/** @internal Where pushed items of one queue come in. */
export class Intake {
  readonly #context: ItemContext
  readonly #received: ReceivedLayout
  readonly #staging: Staging
  /** Open: lock, turn and staged/. */
  readonly #life: number
  readonly #turn: number
  readonly #staged: number
  /** What stands in the file `turn` if this intake was the last one to have it. */
  readonly #token = randomBytes(TOKEN_BYTES / 2).toString('hex')
  readonly #keep: number
  /** Hashes of the keys of the items that had been retried at the start. */
  readonly #retried = new Set<number>()
  #ledger: Ledger | undefined
  #waiting: Waiting[] = []
  #deciding: Promise<void> | undefined
  /** How many items came to the last turn, and waited behind it. */
  #expected = 1
  #gathered: (() => void) | undefined
  #isClosed = false

  private constructor(context: ItemContext, received: ReceivedLayout, access: MetaAccess, keep: number) {
    this.#context = context
    this.#received = received
    this.#keep = keep
    this.#staging = new Staging(context, received)
    const opened: number[] = []
    try {
      opened.push((this.#life = openLock(received.lockPath, access)))
      opened.push((this.#turn = openLock(received.turnPath, access)))
      this.#staged = fs.openSync(received.stagedPath, O_RDONLY | O_CLOEXEC)
    } catch (error) {
      // Each push tries again.
      for (const descriptor of opened) fs.closeSync(descriptor)
      throw error
    }
  }

  /**
   * Opens the directory of pushed items, and makes it if it is missing.
   *
   * @param keep - Milliseconds until the ledger may forget an item.
   * @throws {@link QueueMissingError}, {@link NotAQueueError}, {@link ReceivingError} or a file system error.
   */
  static async open(context: ItemContext, source: string, keep: number): Promise<Intake> {
    const { layout } = context.directory
    await checkQueue(layout)
    await context.directory.open()
    const { access } = new MetaDirectory(layout)
    const received = receivedLayout(layout, source)
    for (const directory of received.directories) await makeDurably(directory, access)
    const intake = new Intake(context, received, access, keep)
    try {
      const isAlone = tryLock(intake.#life, 'fcntl')
      if (!isAlone && !(await intake.#lives())) throw receiving(layout.name, source)
      await intake.#inTurn(async () => intake.#open(access, isAlone))
      // Alone no more: others may come.
      if (isAlone) tryLock(intake.#life, 'fcntl', true)
      return intake
    } catch (error) {
      await intake.close()
      throw error
    }
  }

  /** Whether everything is still in its place. If not, the intake has to be opened again. */
  isSound(): boolean {
    const { lockPath, turnPath, stagedPath } = this.#received
    return (
      !this.#isClosed &&
      this.#ledger?.failure === undefined &&
      isAt(lockPath, this.#life) &&
      // Others would take turns by another file.
      isAt(turnPath, this.#turn) &&
      isAt(stagedPath, this.#staged)
    )
  }

  /**
   * Brings an item into queue/, unless it has come before. When this resolves, that survives a power cut.
   *
   * @param given - The name that the sender gave, as text or byte for byte. The tries in it are of the delivery, and count for nothing here.
   * @returns Whether the item had come before, with equal contents.
   * @throws {@link EncodingError}, also a {@link MalformedNameError}; {@link OtherContents}; {@link OtherSize}; the error of the contents; an error of the queue.
   */
  async take(given: string | Uint8Array, contents: PushedContents): Promise<Answer> {
    const { settings } = this.#context
    const name =
      typeof given === 'string' ? toRaw(given, settings.charset) : Buffer.from(given).toString('latin1')
    if (!isFileName(name) || name.startsWith('.'))
      throw new MalformedNameError('it cannot be the name of a file that is not hidden', printable(name))
    parseItemName(name, settings)
    const key = itemKey(name, settings.encode)
    const base = {
      name: withTries(name, 0, settings.encode),
      key,
      id: createHash('sha256').update(key, 'latin1').digest('hex'),
    }
    if (!(contents instanceof Uint8Array)) return this.#takeStream(base, contents)
    const size = contents.byteLength
    const digest = createHash('sha256').update(contents).digest('hex')
    let staged: RawName | Uint8Array | undefined
    if (size <= STAGED_IN_TURN) staged = contents
    // An item that has come before need not be written again to be compared.
    else if ((await this.#opened.find(base.id)) === undefined) staged = await this.#stage(contents)
    for (;;) {
      const answer = await this.#decide({ ...base, size, digest, staged })
      if (answer !== 'unstaged') return answer
      staged = await this.#stage(contents)
    }
  }

  /** Closes everything, when what waits is decided. Never rejects. */
  async close(): Promise<void> {
    if (this.#isClosed) return
    this.#isClosed = true
    while (this.#deciding !== undefined) await this.#deciding
    await this.#ledger?.close()
    this.#staging.close()
    for (const descriptor of [this.#staged, this.#turn, this.#life]) fs.closeSync(descriptor)
  }

  async #takeStream(
    base: Pick<Pushed, 'name' | 'key' | 'id'>,
    { size, chunks, signal }: Exclude<PushedContents, Uint8Array>,
  ): Promise<Answer> {
    const hash = createHash('sha256')
    let length = 0
    async function* hashed(): AsyncGenerator<Uint8Array, void, undefined> {
      for await (const chunk of chunks) {
        length += chunk.byteLength
        if (length > size) throw new OtherSize()
        hash.update(chunk)
        yield chunk
      }
      if (length !== size) throw new OtherSize()
    }
    const staged = await this.#stage(hashed(), signal)
    const pushed = { ...base, size, digest: hash.digest('hex'), staged }
    const answer = await this.#decide(pushed)
    if (answer !== 'unstaged') return answer
    throw fileSystemError(
      { errno: -ENOENT, syscall: 'rename', path: this.#received.stagedPath },
      'receive items',
    )
  }

  async #stage(payload: Uint8Array | AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<RawName> {
    try {
      return await this.#staging.enqueuer.enqueue(payload, [], signal === undefined ? undefined : { signal })
    } catch (error) {
      if (error instanceof NotDurableError) await this.#unstage(error.id)
      throw error
    }
  }

  async #decide(pushed: Pushed): Promise<Answer | 'unstaged'> {
    // Its descriptors may be those of other files by now.
    if (this.#isClosed) throw this.#staging.directory.closedError()
    try {
      const answer = await new Promise<Answer | 'unstaged'>((resolve, reject) => {
        this.#waiting.push({ pushed, resolve, reject })
        if (this.#waiting.length >= this.#expected) this.#gathered?.()
        this.#deciding ??= this.#decideAll()
      })
      if (answer === 'known') await this.#unstage(pushed.staged)
      return answer
    } catch (error) {
      // The name that the ledger has is another one, and stays.
      await this.#unstage(pushed.staged)
      throw error
    }
  }

  async #decideAll(): Promise<void> {
    // Not at once: the other items of this round of the event loop share the turn.
    await new Promise((resolve) => setImmediate(resolve))
    while (this.#waiting.length > 0) {
      await this.#gather()
      const ids = new Set<string>()
      const turn: Waiting[] = []
      const later: Waiting[] = []
      for (const one of this.#waiting) {
        // Of two pushes of one item, the second one finds the entry of the first one.
        const isForNow = turn.length < MOST_IN_TURN && !ids.has(one.pushed.id)
        ids.add(one.pushed.id)
        ;(isForNow ? turn : later).push(one)
      }
      this.#waiting = later
      try {
        await this.#inTurn(async () => this.#decideTurn(turn))
      } catch (error) {
        for (const { reject } of turn) reject(error)
        // Another wait of the same length for each turn would keep close() waiting as well.
        if (error instanceof ReceivingError) for (const { reject } of this.#waiting.splice(0)) reject(error)
      }
      this.#expected = turn.length + this.#waiting.length
    }
    this.#deciding = undefined
  }

  /**
   * Waits a moment for as many items as came last time. Senders that have just got their answers send the next items, and with those that
   * wait already they share one turn instead of having two by turns. A lone sender never waits.
   */
  async #gather(): Promise<void> {
    if (this.#waiting.length >= this.#expected) return
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, GATHER_MS)
      this.#gathered = () => {
        clearTimeout(timer)
        resolve()
      }
    })
    this.#gathered = undefined
  }

  /** Has the turn while an action runs, which knows all that others have written. */
  async #inTurn(action: () => Promise<void>): Promise<void> {
    let hasWaited = false
    const begun = performance.now()
    while (!tryLock(this.#turn, 'flock')) {
      hasWaited = true
      if (performance.now() - begun > LONGEST_TURN_MS) throw stuck(this.#context.directory.layout.name)
      await pause(TURN_MS)
    }
    try {
      const buffer = Buffer.alloc(TOKEN_BYTES)
      fs.readSync(this.#turn, buffer, 0, TOKEN_BYTES, 0)
      if (buffer.toString('latin1') !== this.#token) {
        await this.#ledger?.refresh()
        fs.writeSync(this.#turn, this.#token, 0, 'latin1')
        hasWaited = true
      }
      await action()
    } finally {
      native.unlockDescriptor(packLock(this.#turn, LockOperation.flock))
    }
    // Others look once in a millisecond whether the turn is free.
    if (hasWaited && this.#waiting.length > 0) await pause(2 * TURN_MS)
  }

  async #decideTurn(turn: readonly Waiting[]): Promise<void> {
    const fresh = await Promise.all(turn.map(async (one) => ((await this.#isFresh(one)) ? [one] : [])))
    await this.#admit(fresh.flat())
  }

  /** Answers an item that has come before, or that is not staged. @returns Whether it is new. */
  async #isFresh({ pushed, resolve, reject }: Waiting): Promise<boolean> {
    try {
      const entry = await this.#opened.find(pushed.id)
      if (entry !== undefined && (await this.#complete(entry))) {
        const [, size, digest] = entry.fields
        if (size === String(pushed.size) && digest === pushed.digest) resolve('known')
        else reject(new OtherContents())
        return false
      }
      if (await this.#isHere(pushed)) {
        // A dead receiver may have left it.
        await this.#unstage(pushed.name)
        await this.#opened.settle(await this.#opened.add(pushed.id, fieldsOf(pushed)))
        resolve('known')
        return false
      }
      if (pushed.staged !== undefined) return true
      resolve('unstaged')
    } catch (error) {
      reject(error)
    }
    return false
  }

  /** Brings new items into queue/. */
  async #admit(all: readonly Waiting[]): Promise<void> {
    if (all.length === 0) return
    const ledger = this.#opened
    // In no order: an entry without a staged file is made anew by the next push, and a staged file without an entry is removed or replaced.
    const adding = Promise.all(all.map(async ({ pushed }) => ledger.add(pushed.id, fieldsOf(pushed))))
    const naming = this.#nameAll(all)
    // No file may come after the turn.
    await Promise.allSettled([adding, naming])
    const [entries, isThere] = [await adding, await naming]
    const named = all.filter((_, index) => isThere[index])
    if (named.length === 0) return
    await Promise.all(entries.filter((_, index) => isThere[index]).map(async (entry) => ledger.settle(entry)))
    const errnos = await this.#staging.transfer(named.map(({ pushed }) => pushed.name))
    await Promise.all(
      named.map(async ({ pushed, resolve, reject }, index) => {
        try {
          await this.#checkMoved(pushed, errnos[index] ?? 0)
          resolve('taken')
        } catch (error) {
          reject(error)
        }
      }),
    )
  }

  /** Gives new items their names in staged/, durably. @returns For each whether it has one; if not, it is rejected. */
  async #nameAll(all: readonly Waiting[]): Promise<readonly boolean[]> {
    const errors = new Map<Waiting, unknown>()
    const inMemory: Waiting[] = []
    const payloads: Uint8Array[] = []
    let isRenamed = false
    for (const one of all) {
      const { staged, name } = one.pushed
      if (staged instanceof Uint8Array) {
        inMemory.push(one)
        payloads.push(staged)
        continue
      }
      try {
        fs.renameSync(this.#staging.pathOf(staged ?? ''), this.#staging.pathOf(name))
        isRenamed = true
      } catch (error) {
        errors.set(
          one,
          fileSystemError(failureOf(error, 'rename', this.#received.stagedPath), 'receive items'),
        )
      }
    }
    const [built] = await Promise.all([
      this.#staging.put(
        inMemory.map(({ pushed }) => pushed.name),
        payloads,
      ),
      isRenamed ? this.#syncStaged() : undefined,
    ])
    built.forEach((error, index) => {
      if (error !== undefined) errors.set(inMemory[index] as Waiting, error)
    })
    for (const [{ reject }, error] of errors) reject(error)
    return all.map((one) => !errors.has(one))
  }

  /** @throws Unless the item of an entry is in the queue after its rename. */
  async #checkMoved(pushed: Pushed, errno: number): Promise<void> {
    if (errno === 0) return
    if (errno === -EEXIST) {
      // A program that does not know the turn was faster.
      if (!(await this.#isHere(pushed))) throw this.#staging.moveError(errno, pushed.name)
      await this.#unstage(pushed.name)
      return
    }
    // A server may have made a call whose answer was lost.
    if (errno === -ENOENT && (await this.#staging.isAnywhere(pushed.name))) return
    // Takes the `=` back.
    if (errno === -ENOENT) await this.#opened.add(pushed.id, fieldsOf(pushed))
    throw this.#staging.moveError(errno, pushed.name)
  }

  /**
   * Brings the item of an entry to where it can be answered.
   *
   * @returns False: it was never in queue/, and its staged file is gone.
   */
  async #complete(entry: LedgerEntry): Promise<boolean> {
    const [name = '', size = '', digest = ''] = entry.fields
    if (await this.#staging.has(name)) {
      if (!entry.isSettled) await this.#opened.settle(entry)
      const [errno = 0] = await this.#staging.transfer([name])
      const { encode } = this.#context.settings
      const { id } = entry
      await this.#checkMoved(
        { id, name, key: itemKey(name, encode), size: Number(size), digest, staged: undefined },
        errno,
      )
      return true
    }
    if (entry.isSettled) return true
    if (!(await this.#staging.isAnywhere(name))) return false
    await this.#opened.settle(entry)
    return true
  }

  /**
   * Whether the queue has an item, whatever its tries. For items that no entry covers.
   *
   * @throws {@link OtherContents}
   */
  async #isHere(pushed: Pushed): Promise<boolean> {
    for (let round = 0; round < ROUNDS; round++) {
      const file = await this.#find(pushed)
      if (file === undefined) return false
      const isEqual = await this.#hasContents(file, pushed)
      if (isEqual === true) return true
      if (isEqual === false) throw new OtherContents()
      // It has moved on meanwhile.
    }
    return false
  }

  async #find({ name, key }: Pushed): Promise<Buffer | undefined> {
    const { layout } = this.#context.directory
    const { encode } = this.#context.settings
    const isOfMany = this.#retried.has(hashOf(key)) || claimKindSync(layout) === 'rename'
    if (isOfMany) {
      const found = await this.#staging.find(name)
      if (found === undefined) return undefined
      const { state, parsed, worker } = found
      const directory =
        worker === undefined ? placePath(layout, PLACES[state]) : path.join(layout.claimedPath, worker)
      return bytePath(directory, parsed.raw)
    }
    const names = Array.from({ length: LIKELY_TRIES + 1 }, (_, tries) => withTries(name, tries, encode))
    for (const state of STATES) {
      const directory = placePath(layout, PLACES[state])
      for (const likely of names) {
        const file = bytePath(directory, likely)
        if (fs.lstatSync(file, { throwIfNoEntry: false }) !== undefined) return file
      }
    }
    return undefined
  }

  /** `undefined`: the file is gone. */
  async #hasContents(file: Buffer, { size, digest }: Pushed): Promise<boolean | undefined> {
    let handle: fs.promises.FileHandle
    try {
      // A planted FIFO must not block.
      handle = await fs.promises.open(file, O_RDONLY | SAFELY)
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return undefined
      if (codeOf(error) === 'ELOOP') return false
      throw fileSystemError(failureOf(error, 'open', file.toString()), 'compare an item')
    }
    try {
      const info = await handle.stat()
      if (!info.isFile() || info.size !== size) return false
      const hash = createHash('sha256')
      for await (const chunk of handle.createReadStream({ autoClose: false }))
        hash.update(chunk as Uint8Array)
      return hash.digest('hex') === digest
    } finally {
      await handle.close()
    }
  }

  async #open(access: MetaAccess, isAlone: boolean): Promise<void> {
    const staged = isAlone ? await this.#staging.names() : new Set<RawName>()
    const ids = new Map<RawName, string>()
    this.#ledger = await Ledger.open(this.#received.path, access, {
      keep: this.#keep,
      onEntry:
        staged.size === 0
          ? undefined
          : (id, name) => {
              if (staged.has(name)) ids.set(name, id)
            },
    })
    await this.#staging.directory.open()
    for (const name of staged) {
      const id = ids.get(name)
      const entry = id === undefined ? undefined : await this.#ledger.find(id)
      if (entry === undefined) await this.#unstage(name)
      else
        await this.#complete(entry).catch((error: unknown) => {
          // Its sender gets this error. The pushes of other items go on.
          if (!(error instanceof OtherContents)) throw error
        })
    }
    await this.#listRetried()
  }

  async #listRetried(): Promise<void> {
    const { directory, settings } = this.#context
    const slices = new Slices()
    for (const state of STATES)
      for await (const { raw } of namesOf(directory, state, slices)) {
        const { tries = 0 } = parseIfItem(raw, settings) ?? {}
        if (tries > 0) this.#retried.add(hashOf(itemKey(raw, settings.encode)))
      }
  }

  /** Waits for a moment: an intake that is alone at its start has the lock for itself. */
  async #lives(): Promise<boolean> {
    for (let tried = 1; !tryLock(this.#life, 'fcntl', true); tried++) {
      if (tried === MOST_LIFE_TRIES) return false
      await pause(LIFE_MS)
    }
    return true
  }

  async #syncStaged(): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      fs.fsync(this.#staged, (error) => {
        if (error === null) resolve()
        else reject(fileSystemError(failureOf(error, 'fsync', this.#received.stagedPath), 'receive items'))
      })
    })
  }

  async #unstage(staged: Pushed['staged']): Promise<void> {
    if (typeof staged !== 'string' || this.#isClosed) return
    await this.#staging.remove(staged)
  }

  get #opened(): Ledger {
    if (this.#ledger === undefined) throw this.#staging.directory.closedError()
    return this.#ledger
  }
}

function fieldsOf({ name, size, digest }: Pushed): readonly string[] {
  return [name, String(size), digest]
}

async function pause(milliseconds: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, milliseconds))
}

function stuck(queue: string): ReceivingError {
  return new ReceivingError(
    `Another receiver of the queue ${inspect(queue)} has kept its turn for ${LONGEST_TURN_MS / 1000} seconds`,
    { advice: 'Look whether a receiver has been stopped, or hangs' },
  )
}

function receiving(queue: string, source: string): ReceivingError {
  return new ReceivingError(
    `A receiver that shares nothing fills the queue ${inspect(queue)} from the source ${inspect(source)}`,
    { advice: 'Close it first, or give each source a name of its own' },
  )
}

/** @internal Opens the {@link Intake} of a queue. For `fsq/remote`, which is a bundle of its own. */
export async function openIntake(queue: Queue<Shape>, source: string, keep: number): Promise<Intake> {
  return Intake.open(queue.worked.context, source, keep)
}
