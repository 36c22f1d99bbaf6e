import { Buffer } from 'node:buffer'

import { expect, test } from '@jest/globals'
import fc from 'fast-check'

import { parsedInPlace } from '../../src/remote/json.js'
import { I, filesIn, serve } from './server.js'

const LONG = 12

/** What JSON has, with its strings as bytes in hexadecimal. */
function outcomeOf(parse: () => unknown): unknown {
  try {
    return shown(parse())
  } catch {
    return 'no JSON'
  }
}

let found = 0

function shown(value: unknown): unknown {
  if (value instanceof Uint8Array) {
    found++
    return `string ${Buffer.from(value).toString('hex')}`
  }
  if (typeof value === 'string')
    return value.isWellFormed() ? `string ${Buffer.from(value).toString('hex')}` : 'half'
  if (Array.isArray(value)) return value.map(shown)
  if (typeof value !== 'object' || value === null) return value
  return Object.entries(value).map(([key, member]) => [key, shown(member)])
}

const whole = (bytes: Uint8Array): unknown =>
  JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes))

/** A string of JSON, mostly right, with all kinds of escapes. */
const anyString = fc
  .array(
    fc.oneof(
      {
        weight: 8,
        arbitrary: fc.constantFrom('a', 'é', '€', '😀', '\\n', '\\"', '\\\\', '\\/', '\\u00E9', ' '),
      },
      { weight: 4, arbitrary: fc.constantFrom('\\ud83d\\ude00', '\\u0000', '\\u20ac', 'bcdefghijklmnop') },
      { weight: 1, arbitrary: fc.constantFrom('\\ud83d', '\\ude00', '\\ud83d\\n', '\\ud83d\\u0041') },
      { weight: 1, arbitrary: fc.constantFrom('\\', '\\x', '\\u12', '\\u12g4', '\n', '\u007f', '\\u', '"') },
    ),
    { maxLength: 14 },
  )
  .map((parts) => `"${parts.join('')}"`)
const anyJson = fc.letrec<{ value: string }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    anyString,
    fc.constantFrom('1', 'null', 'true', '{}', '[', '{"a":}'),
    fc.array(tie('value'), { maxLength: 3 }).map((values) => `[${values.join(', ')}]`),
    fc.tuple(tie('value'), tie('value')).map(([one, two]) => `{"k": ${one}, "__proto__": ${two}}`),
  ),
})).value

test('long strings are decoded where they are, as JSON.parse does', () => {
  let errors = 0
  fc.assert(
    fc.property(anyJson, (text) => {
      const wanted = outcomeOf(() => whole(Buffer.from(text)))
      if (wanted === 'no JSON') errors++
      expect([text, outcomeOf(() => parsedInPlace(Buffer.from(text), LONG))]).toEqual([text, wanted])
    }),
    { numRuns: 5000 },
  )
  expect([errors > 100, found > 100]).toEqual([true, true])
  for (const bytes of [[0xff], [0xed, 0xa0, 0x80], [0xc0, 0xaf]])
    expect(() => parsedInPlace(Buffer.from([0x22, ...Buffer.alloc(20, 'x'), ...bytes, 0x22]), LONG)).toThrow()
})

test('the longest names and ids arrive, even if all of them is escaped', async () => {
  const served = await serve()
  const escaped = (text: string): string =>
    Array.from(text, (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
  const name = I.replace('args', 'a'.repeat(255 - I.length + 4))
  const id = 'é'.repeat(1000)
  const body = `{"id": "${escaped(id)}", "method": "enqueue", "params": ["${escaped(name)}", "${escaped('q')}", "${escaped('x'.repeat(20_000))}"]}`
  const answer = await fetch(served.url, { method: 'POST', body })
  expect(await answer.json()).toEqual({ error: null, result: name, id })
  expect(filesIn(served.queue, 'queue')).toEqual({ [name]: 'x'.repeat(20_000) })
  await served.close()
})

test('long strings where none belong are refused as short ones are', async () => {
  const served = await serve()
  const long = 'x'.repeat(10_000)
  const post = async (value: unknown): Promise<unknown> => {
    const answer = await fetch(served.url, { method: 'POST', body: JSON.stringify(value) })
    return ((await answer.json()) as { error: { code: number } }).error.code
  }
  const half = long.replace('x', '\ud800')
  for (const text of [long, half]) {
    const codes = []
    for (const value of [
      text,
      { jsonrpc: '2.0', id: 1, method: 'enqueue', params: text },
      { jsonrpc: '2.0', id: text, method: 'enqueue', params: [I, 'q', 'x'] },
      { jsonrpc: '2.0', id: 1, method: 'enqueue', params: [text, 'q', 'x'] },
      { jsonrpc: '2.0', id: 1, method: 'enqueue', params: [I, text, 'x'] },
      { jsonrpc: '2.0', id: 1, method: 'enqueue', params: { [text]: I } },
    ])
      codes.push(await post(value))
    expect(codes).toEqual([-32600, -32600, -32600, -32602, -32603, -32602])
  }
  expect(await post({ jsonrpc: '2.0', id: 1, method: 'enqueue', params: [I, 'q', half] })).toBe(-32602)
  expect(filesIn(served.queue, 'queue')).toEqual({})
  await served.close()
})
