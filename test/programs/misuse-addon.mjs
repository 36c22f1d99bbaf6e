// Calls each function of the addon with what it does not take: { root }.
import { addon, job, say } from '../support/program.mjs'

// They take nothing; and one ends the program by intent where it cannot read its argument.
const OTHERS = new Set([
  'newSkipped',
  'newStop',
  'heldClaims',
  'sleeps',
  'openPipe',
  'noteDown',
  'noteUmask',
  'faultPoints',
  'faultHits',
  'stop',
  'setFaults',
])
const NAMES = ['queue', 'tmp', 'done', 'fail', 'down', 'marker', 'claims-rename', 'claimed', 'down-rename']

async function thrownBy(name, ...given) {
  try {
    await addon[name](...given)
    return null
  } catch (error) {
    return error.name
  }
}

for (const name of Object.keys(addon)) {
  if (typeof addon[name] !== 'function' || OTHERS.has(name)) continue
  for (const wrong of [null, -1, 'x', {}, [], [{}], () => undefined, addon.newSkipped()])
    await thrownBy(name, ...Array.from({ length: 8 }, () => wrong))
  say({ name, thrown: await thrownBy(name) })
}

const queue = addon.openQueueSync(`${job.root}/q`, NAMES, true)
const form = addon.newItemForm({
  delimiter: 95,
  escape: 37,
  timeFormat: '%s',
  utc: true,
  user: -1,
  group: -1,
  mode: 0o600,
  durable: false,
  plainSync: false,
})
const draft = await addon.openDraft(queue, form, 'a')
say({
  closed: 'discardDraft',
  thrown: [await thrownBy('discardDraft', draft), await thrownBy('discardDraft', draft)],
})
addon.closeQueue(queue)
say({
  closed: 'closeQueue',
  thrown: [await thrownBy('closeQueue', queue), await thrownBy('isDownSync', queue)],
})
