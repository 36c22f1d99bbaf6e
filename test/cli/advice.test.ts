// Commands find their advice on an error by its key, not by its English message.
import { describe, expect, test } from '@jest/globals'

import { readArguments } from '../../src/cli/arguments.js'
import { explain } from '../../src/cli/advice.js'
import {
  FsqError,
  NetworkFileSystemError,
  QueueDownError,
  SettingError,
  TriggerError,
} from '../../src/errors/classes.js'
import { resolveSettings } from '../../src/settings.js'

function thrownBy(call: () => unknown): unknown {
  try {
    call()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

describe('explain', () => {
  test('gives the advice of a command in the place of that of a program, however that is worded', () => {
    const error = new QueueDownError('It is down', { advice: 'Whatever it is', adviceKey: 'take-up' })
    expect(explain(error)).toBe("It is down. Take it up again with 'fsq up', or scan it anyway with -i")
  })

  test('knows what the advice is about', () => {
    const trigger = new TriggerError('None', { path: '/q/trigger', adviceKey: 'make-trigger', advice: 'x' })
    expect(explain(trigger)).toBe(
      "None. Make it with 'mkfifo /q/trigger'; 'fsq install -t' makes queues with one",
    )
    expect(explain(new NetworkFileSystemError('/q', 'cifs'))).toMatch(
      /\. Put FSQ_ROOT on a local file system\. Or run fsq doctor --peer on two machines, and set FSQ_ALLOW_NETWORK=1: .* claims are locks$/,
    )
  })

  test('leaves other advice as it is', () => {
    const advice = "Take it up again with queue.up(), and set the option 'root'"
    expect(explain(new FsqError('So', { advice }))).toBe(`So. ${advice}`)
  })

  test('names an option as it was typed', () => {
    const given = readArguments(['--charset=x'], { charset: { short: 'c', value: 'a charset' } })
    const refused = thrownBy(() => resolveSettings({ charset: 'x' }))
    expect(explain(refused)).toMatch(/^charset is 'x', expected .* It overrides FSQ_CHARSET; leave it out/)
    expect(explain(refused, given)).toMatch(/^--charset is 'x', expected [^.]*$/)
    const other = new SettingError('charset', 'x', 'another', 'Change one of the two')
    expect(explain(other, given)).toBe("--charset is 'x', expected another. Change one of the two")
  })
})
