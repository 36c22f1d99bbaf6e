import { EventEmitter, once } from 'node:events'
import process from 'node:process'
import { createInterface } from 'node:readline'

import { SILENCE_MS, start } from './children.mjs'

/**
 * A Node program that prints lines of JSON, and ends when its stdin ends. A wait for it rejects when the program ends
 * first, or prints nothing for a long time, and says what is missing.
 */
export class JsonProcess {
  #args
  #child
  #lines = []
  #ended
  #changes = new EventEmitter().setMaxListeners(0)

  constructor(program, args) {
    this.#args = args.map(String)
    this.#child = start(process.execPath, [program, ...this.#args])
    this.#child.stdin.on('error', () => {})
    this.#child.once('close', (code, signal) => {
      this.#ended = signal ?? `exit code ${code}`
      this.#changes.emit('change')
    })
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      this.#lines.push(JSON.parse(line))
      this.#changes.emit('change')
    })
  }

  /** The first `count` values with this key. */
  async all(key, count) {
    for (;;) {
      const values = this.#valuesOf(key)
      if (values.length >= count) return values
      const missing = `line ${values.length + 1} of ${count} with '${key}'`
      if (this.#ended !== undefined) throw this.#error(`has ended with ${this.#ended} before ${missing}`)
      await this.#change(missing)
    }
  }

  /** The next value with this key. */
  async next(key) {
    return (await this.all(key, this.#valuesOf(key).length + 1)).at(-1)
  }

  /** Sends an empty line. */
  tell() {
    this.#child.stdin.write('\n')
  }

  async end() {
    this.#child.stdin.end()
    while (this.#ended === undefined) await this.#change('its end')
    if (this.#ended !== 'exit code 0') throw this.#error(`has ended with ${this.#ended}`)
  }

  kill() {
    this.#child.kill('SIGKILL')
  }

  #valuesOf(key) {
    return this.#lines.filter((line) => key in line).map((line) => line[key])
  }

  async #change(missing) {
    const silence = AbortSignal.timeout(SILENCE_MS)
    await once(this.#changes, 'change', { signal: silence }).catch(() => {
      throw this.#error(`has printed nothing for ${SILENCE_MS / 1000} s; missing: ${missing}`)
    })
  }

  #error(why) {
    return new Error(`The process '${this.#args.join(' ')}' ${why}`)
  }
}
