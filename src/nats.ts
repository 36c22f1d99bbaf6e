/**
 * `fsq/nats`: hands items over to a stream of NATS JetStream, and works or receives the messages of one. docs/nats.md shows how.
 *
 * It needs the packages `@nats-io/transport-node` and `@nats-io/jetstream`, and `@nats-io/obj` for contents that do not fit into a message:
 * optional peers of this package.
 *
 * @module fsq/nats
 */
export { natsSink, type NatsSink, type NatsSinkOptions } from './nats/sink.js'
export {
  consumerConfig,
  type ConsumerConfigOptions,
  type ConsumerConfiguration,
  streamConfig,
  type StreamConfigOptions,
  type StreamConfiguration,
} from './nats/stream-config.js'
export type { NatsOptions, NatsWarning } from './nats/options.js'
export { jetstreamSource, type JetstreamSource, type JetstreamSourceOptions } from './nats/source.js'
export type { JetstreamItem } from './nats/delivery.js'
