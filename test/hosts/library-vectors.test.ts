/**
 * Replays recorded calls of the first implementation's library on hosts: the same files before, the call of the same name, the same files
 * after. Where a record names a defect, ours is what its text asks for.
 */
import path from 'node:path'

import { expect, test } from '@jest/globals'
import * as fsq from 'fsq'

import { pushItem } from '../../src/remote.js'
import { useTestBed } from '../support/queue.js'
import { given, isRoot } from '../support/needs.js'
import { RECORDS, type Recorded, build, look, wanted } from './recorded.js'

interface Call extends Recorded {
  readonly python: string
  /** `returns VALUE` or `raises CLASS ...`, as Python writes them. */
  readonly outcome: string
}

const vectors = RECORDS as {
  readonly about: { readonly items: { readonly I: string } }
  readonly library: readonly Call[]
}
const { I } = vectors.about.items
const RETRIED = I.replace('_0_args', '_1_args')
const AWAY = 'http://127.0.0.1:1'

const bed = useTestBed({ quick: true })
const at = (): { readonly root: string } => ({ root: bed.root })
const queue = (host?: string): fsq.Queue => {
  const whole = bed.open({ durability: 'none', maxTries: 0 })
  return host === undefined ? whole : whole.host(host)
}

/** Calls a function with the only item of a queue. */
async function withItem<Result>(
  host: string | undefined,
  act: (item: fsq.WorkItem) => Promise<Result>,
): Promise<Result> {
  const from = queue(host)
  try {
    for await (const item of from.scan()) {
      try {
        return await act(item)
      } finally {
        if (item.outcome === undefined) item.release()
      }
    }
  } finally {
    await from.close()
  }
  throw new Error('no item')
}

async function itemsOf(host: string): Promise<readonly (readonly string[])[]> {
  const found: (readonly string[])[] = []
  const from = queue(host)
  for await (const item of from.scan()) {
    found.push([host, item.id])
    item.release()
  }
  await from.close()
  return found
}

type Raises = new (...args: never[]) => Error

interface Ours {
  readonly call: () => unknown
  /** What is returned, where it is not the same. */
  readonly returns?: unknown
  /** What is thrown. */
  readonly throws?: Raises
  /** Where a record names a defect: what is there afterwards, besides. */
  readonly makes?: readonly string[]
}

const OURS: Readonly<Record<string, Ours>> = {
  hosts: { call: async () => fsq.hosts('q', at()) },
  'hosts: none': { call: async () => fsq.hosts('q', at()), throws: fsq.QueueMissingError },
  install_host: { call: async () => fsq.installHost('q', ['h3', 'h4'], { isDown: false, ...at() }) },
  'install_host: is_down': {
    call: async () => fsq.installHost('q', 'h3', { isDown: true, ...at() }),
    makes: ['q/hosts/h3', 'q/hosts/h3/down', 'q/hosts/h3/queue'],
    returns: undefined,
  },
  'host_is_down: no': { call: async () => fsq.hostIsDown('q', 'h1', at()) },
  'host_is_down: yes': { call: async () => fsq.hostIsDown('q', 'h1', at()) },
  'host_is_down: no host': {
    call: async () => fsq.hostIsDown('q', 'h9', at()),
    throws: fsq.QueueMissingError,
  },
  host_trigger: { call: async () => fsq.hostTrigger('q', at()) },
  host_untrigger: { call: async () => fsq.hostUntrigger('q', at()) },
  'host_untrigger: none': { call: async () => fsq.hostUntrigger('q', at()) },
  'host_trigger_pull: no listener': {
    call: async () => fsq.hostTriggerPull('q', at()),
    throws: fsq.TriggerError,
  },
  'reenqueue: an item to hosts': {
    call: async () =>
      withItem(undefined, async (item) => fsq.vreenqueue(item, ['q'], { toHosts: ['h1'], ...at() })),
  },
  'reenqueue: all hosts': {
    call: async () =>
      withItem(undefined, async (item) => fsq.vreenqueue(item, ['q'], { allHosts: true, ...at() })),
  },
  'reenqueue: link': {
    call: async () =>
      withItem(undefined, async (item) => fsq.vreenqueue(item, ['q2'], { link: true, ...at() })),
  },
  'reenqueue: by name': { call: async () => fsq.vreenqueue(I, ['q2'], { srcQueue: 'q', ...at() }) },
  'reenqueue: by name, link': {
    call: async () => fsq.vreenqueue(I, ['q2', 'q3'], { srcQueue: 'q', link: true, ...at() }),
  },
  'reenqueue: to itself': {
    call: async () => withItem(undefined, async (item) => fsq.vreenqueue(item, ['q'], at())),
    returns: I,
  },
  'reenqueue: no such queue': {
    call: async () => withItem(undefined, async (item) => fsq.vreenqueue(item, ['nosuch'], at())),
    throws: fsq.QueueMissingError,
  },
  'reenqueue: one good, one missing': {
    call: async () => withItem(undefined, async (item) => fsq.vreenqueue(item, ['q2', 'nosuch'], at())),
    throws: fsq.QueueMissingError,
  },
  vsreenqueue: { call: async () => fsq.vsreenqueue(I, 'dé', ['q2'], at()) },
  'vreenqueue: too many': {
    call: async () =>
      withItem(undefined, async (item) => fsq.vreenqueue(item, ['q2'], { ...at(), 0: 'q3' } as object)),
    throws: fsq.SettingError,
  },
  'item of a host: done': { call: async () => withItem('h1', async (item) => fsq.done(item)) },
  'item of a host: fail_tmp': {
    call: async () => withItem('h1', async (item) => fsq.failTmp(item)),
    // The item itself has the new name.
    returns: 'waiting',
  },
  'push: item of the main queue': {
    call: async () => withItem(undefined, async (item) => pushItem(item, AWAY, { queue: 'q' })),
    throws: fsq.PushError,
  },
  'scan: one host': { call: async () => itemsOf('h2') },
  'scan: hosts without host=True': { call: async () => itemsOf('h2'), returns: [['h2', I]] },
  'path.item': { call: () => path.join(queue('h').paths.queue, 'i') },
}

/** Calls that ours does not have. */
const NONE: Readonly<Record<string, string>> = {
  'remote_trigger_pull: nobody listens': 'A trigger is pulled together with the push of an item.',
  'path.down': 'No program needs the path of the file: down(), up() and isDown() are there.',
  'path.trigger': 'As for path.down: triggerPull() and hostTriggerPull() are there.',
}

test('each call has one of ours, or a reason', () => {
  const ids = vectors.library.map(({ id }) => id)
  expect([...Object.keys(OURS), ...Object.keys(NONE)].toSorted()).toEqual(ids.toSorted())
})

for (const record of vectors.library) {
  const ours = OURS[record.id]
  if (ours === undefined) continue
  const { test: declare } = given(
    isRoot || [...record.before, ...record.after].every(({ uid, gid }) => uid === 0 && gid === 0),
  )
  declare(`${record.python}${record.defect === undefined ? '' : `: ${record.defect}`}`, async () => {
    build(bed.root, record.before)
    const error = await (async () => ours.call())().then(
      (value) => {
        expect(value).toEqual('returns' in ours ? ours.returns : returnedBy(record))
        return undefined
      },
      (thrown: unknown) => thrown,
    )
    if (ours.throws === undefined) expect(error).toBeUndefined()
    else expect(error).toBeInstanceOf(ours.throws)
    const after = look(bed.root)
    if (ours.makes === undefined)
      expect(Object.fromEntries(after)).toEqual(Object.fromEntries(wanted(record.after)))
    else for (const file of ours.makes) expect([file, after.has(file)]).toEqual([file, true])
    if (record.id === 'item of a host: fail_tmp') expect(after.has(`q/hosts/h1/queue/${RETRIED}`)).toBe(true)
  })
}

/** The value that theirs has returned. `undefined`: None, or an exception. */
function returnedBy({ outcome }: Call): unknown {
  const [, text] = /^returns (.*)$/.exec(outcome) ?? []
  if (text === undefined || text === 'None') return undefined
  const json = text
    .replace('$ROOT', bed.root)
    .replaceAll(/u?'([^']*)'/g, '"$1"')
    .replace(/^(True|False)$/, (word) => word.toLowerCase())
    .replaceAll('(', '[')
    .replaceAll(')', ']')
  return JSON.parse(json) as unknown
}
