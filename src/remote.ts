/**
 * `fsq/remote`: pushes items to other machines, and receives what they push. docs/push.md shows how.
 *
 * @module fsq/remote
 */
export { credentialLine } from './remote/credentials.js'
export {
  type PushReceiver,
  type PushReceiverOptions,
  type ReceiverLimits,
  receiver,
} from './remote/receiver.js'
export { type PushItemOptions, type PushedItem, push, pushItem } from './remote/push.js'
export { type PushSink, pushSink } from './remote/sink.js'
export type { PushOptions, PushSinkOptions, PushTls, RemoteOptions } from './remote/types.js'
