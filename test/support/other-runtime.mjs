// To be imported before all else by a child that shall pass for another runtime: { runtime }. There a thread of our own polls,
// as the event loop has no place for it.
import process from 'node:process'

const { runtime } = JSON.parse(process.argv[2] ?? '{}')
if (runtime !== undefined)
  Object.defineProperty(process, 'versions', { value: { ...process.versions, [runtime]: '1.0.0' } })
