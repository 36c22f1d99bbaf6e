/**
 * Which items may have been put before, and whether the target still knows them. Pure; put-file.ts and doubts.ts keep the files.
 *
 * Before a put, a line with the item and the moment is durable in `forwarded/SINK/`, in the file of this forwarder. It goes when the item has
 * left queue/. A forwarder looks an item up in the lines of all others before it puts it. So nothing needs to know how a forwarder ended:
 *
 * | what happened | what is known at the next start | what is done with the item |
 * | --- | --- | --- |
 * | never claimed, or claimed and not put | no line | put for the first time |
 * | killed after the line, before the put | a line: may have been put | young: put again, and new there. Old: held |
 * | killed after the put, before its answer or before done/ | a line: may have been put | young: put again, a duplicate there. Old: held |
 * | killed after done/, before the line was blank | a line, and the item is not in queue/ | the line is removed |
 * | the target has not answered, and the forwarder closed | the file of the forwarder stays, with the line | as above |
 * | the target has refused, or says that it has stored nothing | no line, or an older one | as above |
 * | the machine stopped or restarted | the lines, as they were durable before the puts | as above |
 * | meta/ was deleted | the lines: they are not there | as above |
 * | a claim was lost, in a queue of several machines | a line in the file of a forwarder that lives | as above |
 * | held, and then retried | a line, and a later mark in the log of the item, if it is not blank | put: a retry ends the doubt |
 * | forwarded/ was deleted | nothing | put, under a new id: may arrive twice |
 *
 * Old is an item whose first put without an answer is longer ago than the target remembers ids, less a minute for the put itself. It is measured
 * by two clocks: that of the day, and the time since the machine started. The later one counts, so a step of the clock makes an item older
 * at worst. Between two starts of a machine there is only the first clock; a moment that lies ahead of it counts as old.
 *
 * @module
 */
import os from 'node:os'

import { BOOT } from '../meta/boot.js'

/** Between the look at the clock and the moment when the target compares ids. */
export const MARGIN_MS = 60_000

/** A moment, by two clocks. */
export interface Moment {
  /** Milliseconds since the epoch. */
  readonly at: number
  /** Seconds since the machine started. */
  readonly up: number
  /** Which start of the machine; `undefined`: the system does not tell. */
  readonly boot: string | undefined
}

/** This moment. */
export function momentNow(): Moment {
  return { at: Date.now(), up: os.uptime(), boot: BOOT }
}

/** Milliseconds since a moment, and rather too many than too few. */
export function ageOf(then: Moment, now: Moment): number {
  const byDay = now.at - then.at
  const isSameBoot = then.boot !== undefined && then.boot === now.boot
  const age = isSameBoot ? Math.max(byDay, (now.up - then.up) * 1000) : byDay
  return age >= 0 ? age : Infinity
}

/**
 * Whether the target may have forgotten an item that was put at a moment.
 *
 * @param remembers - For how many milliseconds it knows an id.
 */
export function isForgotten(then: Moment, now: Moment, remembers: number): boolean {
  if (remembers === Infinity) return false
  return ageOf(then, now) >= remembers - MARGIN_MS
}

/** The earlier of two moments. */
export function earlier(one: Moment | undefined, other: Moment, now: Moment): Moment {
  return one !== undefined && ageOf(one, now) >= ageOf(other, now) ? one : other
}

/** A moment as a line has it: `2026-07-10T21:39:04.000Z +5123.25`. */
export function momentText({ at, up }: Moment): string {
  return `${new Date(at).toISOString()} +${up}`
}

/**
 * Reads {@link momentText}. A text that cannot be read is a moment of unknown age, which counts as old.
 *
 * @param boot - The start of the machine that the file of the line tells.
 */
export function parseMoment(text: string, boot: string | undefined): Moment {
  const [day = '', up = ''] = text.split(' +')
  const at = Date.parse(day)
  return { at, up: Number.parseFloat(up), boot }
}
