// Stores an item unless its id is known: one script, so nothing comes between the two.
const STORE = `
if not redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1]) then return 0 end
redis.call('XADD', KEYS[1], '*', 'id', ARGV[2], 'args', ARGV[3], 'data', ARGV[4])
return 1`

/**
 * A sink that adds items to a stream of Redis.
 *
 * @param {{ sendCommand(command: (string | Buffer)[]): Promise<unknown>, quit(): Promise<unknown> }} client - Of the package redis, with
 * `disableOfflineQueue: true`: a client that keeps commands while it connects again would bring items too late.
 * @param {string} stream - The key of the stream.
 * @param {number} remembers - For how many milliseconds ids are known.
 * @returns {import('fsq').Sink}
 */
export function redisSink(client, stream, remembers = 3_600_000) {
  /** @type {(item: import('fsq').OutgoingItem) => Promise<import('fsq').PutOutcome>} */
  const store = async (item) => {
    try {
      const stored = await client.sendCommand([
        'EVAL',
        STORE,
        '2',
        stream,
        `${stream}:id:${item.id}`,
        String(remembers),
        item.id,
        JSON.stringify(item.args),
        Buffer.from(await item.bytes()),
      ])
      return { outcome: stored === 1 ? 'stored' : 'duplicate' }
    } catch (thrown) {
      const error = /** @type {Error} */ (thrown)
      // With these answers, it has stored nothing. Without an answer, it may have.
      const isUnsent = /^(OOM|READONLY|LOADING|MISCONF|NOAUTH|NOPERM) /.test(error.message)
      return { outcome: 'again', error, isUnsent }
    }
  }
  return {
    name: `redis-${stream}`,
    remembers,
    maxSize: 64 * 1024 * 1024,
    put: (items) => Promise.all(items.map(store)),
    close: async () => void (await client.quit()),
  }
}
