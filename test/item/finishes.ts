/** Claimed items, and the ways to finish them. */
import type { WorkItem } from '../../src/item/work-item.js'
import type { Queue } from '../../src/queue.js'
import { itemName, plant, takeOne } from '../support/queue.js'

export type Action = 'done' | 'fail' | 'retry' | 'discard'
export const ACTIONS: readonly Action[] = ['done', 'fail', 'retry', 'discard']
export const finish = async (item: WorkItem, action: Action): Promise<unknown> => item[action]()

/** An item by a name that another wrote, claimed. */
export async function claim(queue: Queue, name = itemName(), content = 'content'): Promise<WorkItem> {
  plant(queue, name, content)
  return takeOne(queue)
}
