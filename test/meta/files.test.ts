import fs from 'node:fs'
import path from 'node:path'

import { expect, jest, test } from '@jest/globals'

import { makeFile, makeFileAnew } from '../../src/meta/files.js'
import { makeDirectory } from '../support/child.js'

test.each([
  ['makeFile', makeFile],
  ['makeFileAnew', makeFileAnew],
] as const)('%s closes the file whose owner cannot be set', (_, make) => {
  const file = path.join(makeDirectory(), 'file')
  const chown = jest.spyOn(fs, 'fchownSync').mockImplementation(() => {
    throw new Error('refused')
  })
  const close = jest.spyOn(fs, 'closeSync')
  try {
    expect(() => make(file, 0o600, { user: 54_321, group: -1 })).toThrow('refused')
    const [[descriptor] = []] = chown.mock.calls
    expect(close.mock.calls).toEqual([[descriptor]])
  } finally {
    chown.mockRestore()
    close.mockRestore()
  }
})
