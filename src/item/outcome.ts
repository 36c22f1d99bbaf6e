/**
 * The ways in which a claimed item leaves the hands of its worker.
 *
 * @module
 */

/**
 * How a claimed item has left this worker's hands.
 *
 * - `done`: it is done, or discarded.
 * - `failed`: it has failed for good.
 * - `waiting`: it waits for its next try.
 * - `released`: it was given back as it was.
 * - `gone`: another process has moved or removed it, or the worker has lost its claim.
 */
export type Outcome = 'done' | 'failed' | 'waiting' | 'released' | 'gone'

/**
 * Why a retry fails an item for good.
 *
 * - `exhausted`: it has used up its tries.
 * - `expired`: it is older than the TTL.
 * - `ungrowable`: its next name would be too long.
 */
export type RetryLimit = 'exhausted' | 'expired' | 'ungrowable'
