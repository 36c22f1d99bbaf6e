// The handler of a typed queue: items tell whether they have been parsed.
export function body(value) {
  if (typeof value?.to !== 'string') throw new TypeError('to is no text')
  return { ...value, parsedIn: process.pid }
}

export default function handler(item) {
  if (item.body.parsedIn !== process.pid) throw new Error('not parsed here')
}
