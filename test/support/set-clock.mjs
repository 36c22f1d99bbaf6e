// Loaded ahead of a program (node --import): sets its clock of the day by the hours in the file FSQ_TEST_CLOCK, at any moment. The clock of
// the file system and those that only go forward are not set.
import fs from 'node:fs'
import process from 'node:process'

const file = process.env.FSQ_TEST_CLOCK
const TrueDate = Date

function now() {
  return TrueDate.now() + Number(fs.readFileSync(file, 'utf8')) * 3_600_000
}

class SetDate extends TrueDate {
  /** @param {any[]} given */
  constructor(...given) {
    if (given.length === 0) super(now())
    // @ts-expect-error -- whatever a date is made of
    else super(...given)
  }

  static now() {
    return now()
  }
}

Reflect.set(globalThis, 'Date', SetDate)
