import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'

import { afterEach, beforeEach, expect, test } from '@jest/globals'

const DEMO = path.resolve(import.meta.dirname, '../examples/demo/main.mjs')

let folder: string
let temporary: string

beforeEach(() => {
  const root = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'fsq-test-')))
  folder = path.join(root, 'files')
  temporary = path.join(root, 'tmp')
  fs.mkdirSync(folder)
  fs.mkdirSync(temporary)
})

afterEach(() => {
  fs.rmSync(path.dirname(folder), { recursive: true, force: true })
})

function makeFiles(count: number): void {
  for (let index = 0; index < count; index++) {
    fs.writeFileSync(path.join(folder, `file ${index}\n🎉`), 'text '.repeat(index))
  }
}

/** Runs the demo on the folder; `until`: send SIGINT once it has printed that. */
async function runDemo(until?: string): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [DEMO, folder], { env: { ...process.env, TMPDIR: temporary } })
  let output = ''
  let isStopped = false
  const take = (chunk: Buffer): void => {
    output += chunk.toString()
    if (until === undefined || isStopped || !output.includes(until)) return
    isStopped = true
    child.kill('SIGINT')
  }
  child.stdout.on('data', take)
  child.stderr.on('data', take)
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

/** The workers have the temporary folder as an argument. */
async function workersLeft(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-ww', '-o', 'stat=,args='])
  return stdout.split('\n').filter((line) => line.includes(temporary) && !line.startsWith('Z'))
}

test('20 files come through, one worker killed on the way', async () => {
  makeFiles(20)

  const { code, output } = await runDemo()

  expect({ code, output }).toEqual({
    code: 0,
    output: expect.stringContaining('All as it should be') as unknown,
  })
  const rows = new Map(
    [...output.matchAll(/^ {2}(\S.*?) {2,}([\d,]+)(?: {2}|$)/gm)].map(([, label, value]) => [label, value]),
  )
  expect(Object.fromEntries(rows)).toMatchObject({
    enqueued: '20',
    done: '19',
    'failed for good': '1',
    retried: '1',
    'done twice by live workers': '0',
    lost: '0',
    'left in queue/': '0',
    'left in tmp/': '0',
    'outputs verified': '19',
  })
  expect(Number(rows.get('held by the killed worker'))).toBeGreaterThan(0)
  expect(fs.readdirSync(temporary)).toEqual([])
  expect(await workersLeft()).toEqual([])
})

test.each(['files of', 'enqueued', 'at work', 'killed'])(
  "SIGINT after '%s' leaves nothing behind",
  async (until) => {
    makeFiles(300)

    const { code, output } = await runDemo(until)

    expect({ code, output }).toMatchObject({ code: 130 })
    expect(fs.readdirSync(temporary)).toEqual([])
    expect(await workersLeft()).toEqual([])
  },
)

test('a folder without files is an expected error', async () => {
  expect(await runDemo()).toEqual({
    code: 111,
    output: expect.stringContaining('There is no file to work on') as unknown,
  })
})
