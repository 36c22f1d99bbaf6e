/**
 * The limit of the paths of unix sockets.
 *
 * @module
 */
import process from 'node:process'

/** In bytes, without the NUL behind them. Node 20 cuts a longer path off. */
export const MOST_SOCKET_PATH = process.platform === 'linux' ? 107 : 103
