import { execFileSync, spawnSync } from 'node:child_process'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import process from 'node:process'

import { afterEach, describe, expect, test } from '@jest/globals'

import { EMPTY, contents, drain, itemName, useTestBed } from '../support/queue.js'

const bed = useTestBed()

const canMakeDevices = ((): boolean => {
  const file = `/tmp/fsq-device-${process.pid}`
  const made = spawnSync('mknod', [file, 'c', '1', '3']).status === 0
  fs.rmSync(file, { force: true })
  return made
})()

describe('a file that is not regular', () => {
  const listening: net.Server[] = []
  afterEach(() => {
    for (const server of listening.splice(0)) server.close()
  })

  /** The path of a socket is short, a queue's may not be. */
  async function socket(file: string): Promise<void> {
    const server = net.createServer()
    listening.push(server)
    await new Promise<void>((resolve) => server.listen(bed.path('s'), resolve))
    fs.renameSync(bed.path('s'), file)
  }

  const kinds: readonly (readonly [string, string, (file: string) => void | Promise<void>])[] = [
    ['a dangling symbolic link', 'a symbolic link', (file) => fs.symlinkSync('nowhere', file)],
    ['a symbolic link to a file', 'a symbolic link', (file) => fs.symlinkSync(bed.path('target'), file)],
    ['a symbolic link to a directory', 'a symbolic link', (file) => fs.symlinkSync('..', file)],
    ['a symbolic link to /dev/zero', 'a symbolic link', (file) => fs.symlinkSync('/dev/zero', file)],
    ['a directory', 'a directory', (file) => fs.mkdirSync(file)],
    ['a FIFO', 'a FIFO', (file) => void execFileSync('mkfifo', [file])],
    ['a socket', 'a socket', socket],
    ...(canMakeDevices
      ? [
          [
            'a device',
            'a character device',
            (file: string): void => void execFileSync('mknod', [file, 'c', '1', '5']),
          ] as const,
        ]
      : []),
  ]

  if (!canMakeDevices) test.skip('a device (this user cannot make any)', () => undefined)

  describe.each([
    ['with the name of an item', itemName({ entropy: 0 })],
    ['with another name', 'stranger'],
  ])('%s', (_named, name) => {
    test.each(kinds)('%s is left alone and reported once', async (_what, shown, make) => {
      const queue = await bed.install()
      fs.writeFileSync(bed.path('target'), 'precious')
      const file = path.join(queue.path, 'queue', name)
      await make(file)
      const before = fs.lstatSync(file)
      const ids = [await queue.enqueue('x'), await queue.enqueue('y')]
      expect(await drain(queue)).toEqual(ids)
      expect(await drain(queue)).toEqual([])
      const after = fs.lstatSync(file)
      expect({ ino: after.ino, mode: after.mode, ctimeMs: after.ctimeMs }).toEqual({
        ino: before.ino,
        mode: before.mode,
        ctimeMs: before.ctimeMs,
      })
      expect(contents(queue)).toEqual({ ...EMPTY, queue: [name], done: [...ids].sort() })
      expect(fs.readFileSync(bed.path('target'), 'utf8')).toBe('precious')
      expect(bed.reports).toHaveLength(1)
      expect(bed.reports[0]).toMatchObject({ type: 'foreign', rawName: name })
      expect(bed.reports[0]?.message).toBe(`is ${shown}, not a regular file, and is left alone. Remove it`)
    })
  })

  test('is not even opened', async () => {
    const queue = await bed.install()
    const fifo = path.join(queue.path, 'queue', itemName())
    execFileSync('mkfifo', [fifo])
    // This open waits until another process opens the other end, even for a moment.
    let isOpened = false
    const opening = fs.promises.open(fifo, 'w').then((file) => {
      isOpened = true
      return file
    })
    for (let round = 0; round < 20; round++) expect(await drain(queue)).toEqual([])
    expect(isOpened).toBe(false)
    const end = fs.openSync(fifo, fs.constants.O_RDONLY | fs.constants.O_NONBLOCK)
    await (await opening).close()
    fs.closeSync(end)
    expect(isOpened).toBe(true)
  })
})
