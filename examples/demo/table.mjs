// The table at the end.
import { number, seconds } from './output.mjs'

/**
 * @param found - The result of check().
 * @param took - Milliseconds that the workers took.
 */
export function rowsOf(found, took) {
  const { failed, outputs, pickedUp } = found
  const finished = found.done + failed.onPurpose + failed.unreadable.length
  const rows = [
    row('enqueued', found.enqueued),
    row('done', found.done),
    row('failed for good', failed.onPurpose, 'on purpose'),
    row('retried', found.retried, 'failed once or twice on purpose, then done'),
    row(
      'held by the killed worker',
      pickedUp.length,
      `picked up by others ${spread(pickedUp)} after the kill`,
    ),
    zero('done twice by live workers', found.twice),
    zero('lost', found.lost),
    zero('left in queue/', found.waiting),
    zero('left in tmp/', found.tmp),
    {
      ...row('outputs verified', outputs.right, 'unpacked, and compared with the files by SHA-256'),
      isOff: outputs.right + outputs.changed !== found.done,
    },
    row('items a second', finished / (took / 1000), `in ${seconds(took)}, all workers together`),
  ]
  // Rare events.
  const [reason] = failed.unreadable
  if (reason !== undefined) rows.splice(3, 0, row('failed: not readable', failed.unreadable.length, reason))
  if (outputs.changed > 0)
    rows.splice(-1, 0, row('not compared', outputs.changed, 'the files changed meanwhile'))
  return rows
}

function row(label, value, remark = '') {
  return { label, value: number(value), remark: value > 0 ? remark : '' }
}

function zero(label, value) {
  return { ...row(label, value), isOff: value !== 0 }
}

/** @param sorted - Milliseconds in ascending order; undefined values at the end mean 'never'. */
function spread(sorted) {
  const known = sorted.filter((value) => value !== undefined)
  const median = known[Math.floor(known.length / 2)]
  const [first, middle, last] = [known[0], median, known.at(-1)].map((value) => number(value ?? Number.NaN))
  return known.length < 2 ? `${first} ms` : `${first} / ${middle} / ${last} ms (min / median / max)`
}
