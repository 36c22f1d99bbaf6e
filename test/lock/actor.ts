// A holder of locks: a process or a worker thread of its own.
import { type StdioOptions, fork } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import path from 'node:path'
import { Worker } from 'node:worker_threads'

import { afterEach } from '@jest/globals'

const PROGRAM = path.resolve(import.meta.dirname, '../programs/lock-actor.mjs')
/** The first descriptor that an actor is given, in its own numbers. */
export const GIVEN = 4

interface Answer {
  readonly id: number
  readonly result?: unknown
  readonly error?: string
}

const actors = new Set<Actor>()

afterEach(async () => {
  await Promise.all([...actors].map(async (actor) => actor.kill()))
})

export class Actor {
  readonly #answers = new EventEmitter()
  readonly #send: (message: unknown) => void
  readonly #kill: () => unknown
  readonly #ended: Promise<unknown>
  #isOver = false
  #next = 0

  private constructor(source: NodeJS.EventEmitter, send: (message: unknown) => void, kill: () => unknown) {
    this.#send = send
    this.#kill = kill
    source.on('message', (answer: Answer) => this.#answers.emit(String(answer.id), answer))
    this.#ended = once(source, 'exit').then(() => {
      this.#isOver = true
      actors.delete(this)
      this.#answers.emit('end')
    })
    actors.add(this)
  }

  /** A process that has the descriptors as {@link GIVEN} and so on. */
  static process(descriptors: readonly number[] = []): Actor {
    const stdio: StdioOptions = ['ignore', 'ignore', 'inherit', 'ipc', ...descriptors]
    const child = fork(PROGRAM, { stdio })
    return new Actor(
      child,
      (message) => child.send(message as object),
      () => child.kill('SIGKILL'),
    )
  }

  /** A thread of this process. */
  static thread(): Actor {
    const worker = new Worker(PROGRAM)
    return new Actor(
      worker,
      (message) => {
        worker.postMessage(message)
      },
      async () => worker.terminate(),
    )
  }

  /** `undefined`: it ended meanwhile. */
  async do(call: string, ...args: readonly unknown[]): Promise<unknown> {
    const id = this.#next++
    const answered = once(this.#answers, String(id)) as Promise<[Answer]>
    this.#send({ id, call, args })
    const [answer] = await Promise.race([answered, this.#ended.then(() => [undefined] as const)])
    if (answer?.error !== undefined) throw new Error(answer.error)
    return answer?.result
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** SIGKILL, or the end of the thread; resolves when it is gone. */
  async kill(): Promise<void> {
    if (!this.#isOver) void this.#kill()
    await this.#ended
  }

  async exit(): Promise<void> {
    await this.do('exit')
    await this.#ended
  }
}
