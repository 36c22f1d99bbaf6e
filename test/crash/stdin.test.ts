// A program that has the item as its standard input, and outlives the worker that started it.
import { execFileSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

import { expect, test } from '@jest/globals'

import { Queue } from '../../src/index.js'
import { Child, filesOf, isFree, makeDirectory, until } from '../support/child.js'

test.each([10, 300_000])(
  'a program reads all %d bytes from standard input, and the lock lives as long as it does',
  async (size) => {
    const directory = makeDirectory()
    const root = path.join(directory, 'root')
    fs.mkdirSync(root)
    const queue = await Queue.install('q', { root })
    const data = Buffer.alloc(size, 'content')
    const id = await queue.enqueue(data)
    const gate = path.join(directory, 'gate')
    const copy = path.join(directory, 'copy')
    execFileSync('mkfifo', [gate])

    // Reads all, says so, and stays until the test opens the FIFO for writing.
    const script = 'cat > "$1.part"; mv "$1.part" "$1"; read line < "$2"'
    const program = ['sh', '-c', script, 'sh', copy, gate]
    const worker = new Child('pass-as-stdin.mjs', { root, program })
    expect((await worker.says('bytes'))['bytes']).toBe(size)
    await until('the program has read all', () => fs.existsSync(copy))
    expect(fs.readFileSync(copy).equals(data)).toBe(true)

    const [file] = filesOf(queue.path, 'queue').map((found) => found.path)
    if (file === undefined) throw new Error('the item is gone')
    expect(isFree(file)).toBe(false)
    worker.kill()
    await worker.ended
    expect(isFree(file)).toBe(false)
    for await (const item of queue.scan()) throw new Error(`claimed ${item.id}, which a program works on`)

    fs.writeFileSync(gate, 'go\n')
    await until('the lock is free', () => isFree(file))
    const ran: string[] = []
    for await (const item of queue.scan()) {
      ran.push(item.id)
      await item.done()
    }
    expect(ran).toEqual([id])
    await queue.close()
  },
)
