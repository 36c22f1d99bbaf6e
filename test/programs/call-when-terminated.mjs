// Calls each function of the addon in a thread that has been terminated a moment ago: { root }.
//
// JavaScript goes on until it next enters a function or a loop, so code without either comes as far as the addon, where
// Node-API refuses most calls from then on.
import fs from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads'

import { addon, appears, job, say } from '../support/program.mjs'

const ADDON = Object.keys(createRequire(import.meta.url).cache).find((file) => file.endsWith('.node'))
/** Functions that do something else in a queue whose claims are renames. */
const BY_RENAME = [
  ...['claim', 'claimSync', 'finish', 'finishSync', 'release', 'openItem', 'openItemSync', 'lendClaim'],
  ...[
    'isLost',
    'isDown',
    'isDownSync',
    'makeWorker',
    'retireWorker',
    'workerName',
    'fence',
    'seize',
    'closeQueue',
  ],
]
const NAMES = ['queue', 'tmp', 'done', 'fail', 'down', 'marker', 'claims-rename', 'claimed', 'down-rename']
const NUMBERS_A_BATCH = 6

/** The arguments of each function. */
async function argumentsOf({ root, at, name }, queue) {
  const listing = () => addon.listSync(queue, 0, 0)
  const skipped = addon.newSkipped()
  let claimed = 1e9
  if (name === 'r') {
    for (const item of ['a', 'b'])
      fs.writeFileSync(path.join(root, name, 'queue', `_1_${at}_0_${item}_0_x`), 'x')
    const [numbers] = addon.claimSync(queue, listing(), 1, 10, 100, 37, skipped)
    claimed = numbers[NUMBERS_A_BATCH]
  }
  const values = {
    delimiter: 95,
    escape: 37,
    timeFormat: '%s',
    utc: true,
    user: -1,
    group: -1,
    mode: 0o600,
    durable: false,
    plainSync: false,
  }
  const plan = {
    root,
    hidden: `.fsq-${at}`,
    name: `new${at}`,
    directories: ['queue', 'tmp', 'done', 'fail'],
    files: ['marker', ''],
    mode: 0o700,
    user: -1,
    group: -1,
    replace: false,
  }
  const form = addon.newItemForm(values)
  const dead = path.join(root, name, 'claimed', `host-1-${String(at).padStart(16, '0')}`)
  fs.mkdirSync(dead, { recursive: true })
  fs.writeFileSync(path.join(dead, '.lock'), '')
  const [seized] = await addon.seize(queue)
  const watch = addon.newWatch(at % 2 === 0)
  const draft = await addon.openDraft(queue, form, 'a')
  const many = [queue, form, ['a', 'b'], [Buffer.from('x'), null], [0, 5], [addon.newStop(), undefined]]
  const claim = [queue, listing(), 1, 10, 100, 37, skipped, addon.newStop()]
  const lock = [path.join(root, 'lock'), 5, 0, 0, true]
  return {
    openQueue: [path.join(root, 'q'), NAMES, true],
    openQueueSync: [path.join(root, 'q'), NAMES, true],
    usesFcntl: [queue],
    claimsByRename: [queue],
    fileSystemOf: [queue],
    workerName: [queue],
    setLease: [queue, 1000],
    fence: [queue],
    retireWorker: [queue],
    seize: [queue],
    dismiss: [seized.directory],
    openItem: [claimed],
    openItemSync: [claimed],
    list: [queue, 0, 1, skipped, addon.newStop(), 1, listing()],
    listSync: [queue, 0, 1, skipped, addon.newStop(), 1, listing()],
    listingSize: [listing()],
    listingSpent: [listing()],
    listingEntries: [listing(), 0, 10],
    reopenNames: [listing(), [1]],
    isDownSync: [queue, false],
    isDown: [queue, false],
    isLost: [claimed],
    makeWorker: [queue],
    noteDown: [],
    noteUmask: [],
    claim,
    claimSync: claim,
    newSkipped: [],
    skippedKept: [skipped],
    skippedUnkept: [skipped],
    skippedQuiet: [skipped, queue],
    skippedDueIn: [skipped],
    newWatch: [true],
    pruneNext: [0, 0, 0, true],
    changesNext: [0],
    listenTrigger: [watch, path.join(root, 'trigger')],
    listenTriggerSync: [watch, path.join(root, 'trigger')],
    armWatch: [watch, path.join(root, 'q'), path.join(root, 'q', 'queue'), queue],
    disarmWatch: [watch],
    awaitWatch: [watch, true, () => undefined],
    cancelWatch: [watch],
    listNews: [listing(), skipped, watch, ['a'], true, true],
    finish: [queue, new Float64Array([claimed, 2, 0]), 1, [`a${at}`], false],
    finishSync: [queue, new Float64Array([claimed, 2, 0]), 1, [`a${at}`], false],
    openPipe: [],
    raiseDescriptor: [0, 100],
    closeDescriptor: [addon.raiseDescriptor(0, 100)],
    closeDescriptorLater: [addon.raiseDescriptor(0, 100)],
    modifiedAt: [root],
    appendLog: [path.join(root, 'log'), 'line\n', 1, 0o600, -1, -1],
    appendLogSync: [path.join(root, 'log'), 'line\n', 1, 0o600, -1, -1],
    lendClaim: [claimed],
    release: [[claimed]],
    newItemForm: [values],
    enqueue: many,
    enqueueInLane: many,
    enqueueBulk: many,
    enqueueInWriter: [...many, 0],
    enqueueSync: [queue, form, 'a', Buffer.from('x'), 5],
    openDraft: [queue, form, 'a'],
    writeItem: [queue, form, 'a', Buffer.from('x'), addon.newStop(), 1],
    writeDraft: [draft, Buffer.from('x')],
    discardDraft: [draft],
    readPipe: [0, Buffer.alloc(1)],
    transfer: [queue, 0, 2, ['nothing']],
    newStop: [],
    setStop: [addon.newStop()],
    findFileSystem: [root],
    probe: [root],
    install: [plan],
    relocate: [root, 'nothing', 'something', false],
    formatTime: ['%s', 1, 1, true],
    parseTime: ['%s', '1', true],
    userId: ['root'],
    groupId: ['root'],
    lockPath: lock,
    lockPathSync: lock,
    lockDescriptor: [0, 1, 1],
    lockDescriptorLater: [0, 1, 1],
    unlockDescriptor: [0, 1, 1],
    lockClaim: [1e9, 1, 1],
    heldClaims: [],
    sleeps: [],
    stop: [],
    setFaults: [''],
    faultPoints: [],
    faultHits: [],
    makeFifo: [path.join(root, `fifo${at}`), 0o600],
    makeFifoSync: [path.join(root, `fifo${at}`), 0o600],
    closeQueue: [queue],
    retireQueue: [queue],
    closeListing: [listing()],
    closeSkipped: [skipped],
    closeWatch: [watch],
    // Of process: the addon is loaded once more.
    dlopen: [{ exports: {} }, ADDON],
  }
}

if (isMainThread) {
  fs.writeFileSync(path.join(job.root, 'lock'), '')
  for (const place of ['queue', 'tmp', 'done', 'fail', 'claimed'])
    fs.mkdirSync(path.join(job.root, 'r', place), { recursive: true })
  fs.writeFileSync(path.join(job.root, 'r', 'claims-rename'), '')
  const functions = Object.keys(addon).filter((name) => typeof addon[name] === 'function')
  const calls = [
    ...functions.map((called) => ({ called, name: 'q' })),
    ...BY_RENAME.map((called) => ({ called, name: 'r' })),
    { called: 'dlopen', name: 'q' },
  ]
  for (const [at, { called, name }] of calls.entries()) {
    const [pause, reached] = ['pause', 'reached'].map((what) => path.join(job.root, `${what}-${at}`))
    say({ begun: called, queue: name })
    const worker = new Worker(new URL(import.meta.url), { workerData: { ...job, at, called, name, reached } })
    const ended = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject))
    await new Promise((resolve) => worker.once('message', resolve))
    addon.setFaults(`claim.down#1=pause:${pause}`)
    worker.postMessage('go on')
    await appears(pause)
    void worker.terminate()
    fs.unlinkSync(pause)
    await ended
    addon.setFaults('')
    say({ name: called, reached: fs.existsSync(reached) })
  }
} else {
  const { root, name, called, reached } = workerData
  const queue = addon.openQueueSync(path.join(root, name), NAMES, true)
  const given = (await argumentsOf(workerData, queue))[called]
  const list = given.map((_, index) => `given[${index}]`).join(', ')
  // The first call pauses, the last one can be seen from outside.
  const call = new Function(
    'addon, receiver, queue, given, reached',
    `addon.isDownSync(queue, false); receiver.${called}(${list}); addon.makeFifoSync(reached, 0o600)`,
  )
  const receiver = called === 'dlopen' ? process : addon
  parentPort.once('message', () => call(addon, receiver, queue, given, reached))
  parentPort.postMessage('ready')
}
