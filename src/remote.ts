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
export type { PushTls, RemoteOptions } from './remote/client.js'
export { type PushItemOptions, type PushOptions, type PushedItem, push, pushItem } from './remote/push.js'
export { type PushSink, type PushSinkOptions, pushSink } from './remote/sink.js'
