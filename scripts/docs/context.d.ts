/** What the examples of the documentation suppose: a queue, an item, and functions of the reader's own. */
import type { Queue as QueueClass, Sink, WorkItem } from 'fsq'

declare global {
  const sink: Sink
  const queue: QueueClass
  const item: WorkItem
  const signal: AbortSignal
  function work(...given: unknown[]): Promise<void>
  function handle(item: WorkItem): Promise<void>
  function migrate(): Promise<void>
  function read(fd: number): Promise<void>
  function makeReport(order: unknown, options: { signal: AbortSignal }): Promise<string>
  const database: { query(sql: string, values: readonly unknown[]): Promise<void> }
}
