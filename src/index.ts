/**
 * fsq, the file-system queue: one item is one file, a claim is a kernel lock, completion is one rename.
 *
 * @module fsq
 */
export { Queue, type ItemOf, type QueueCloseOptions, type QueueOptions, type QueueSettings } from './queue.js'
export type { QueuePaths } from './directory/layout.js'
export type { StreamOptions } from './item/content-stream.js'
export type { WorkOptions } from './work/local.js'
export type { ProcessOptions } from './work/processes/options.js'
export type { RemoteItem } from './work/processes/messages.js'
export { work } from './work/work.js'
export { forward } from './forward/forward.js'
export { Forwarder } from './forward/forwarder.js'
export type { ForwardOptions } from './forward/options.js'
export type { ForwarderEvents, ForwarderNumbers, ForwarderState } from './forward/events.js'
export type { OutgoingItem, PutOptions, PutOutcome, Sink } from './forward/sink.js'
export { Worker, type CloseOptions, type IdleOptions } from './work/handle.js'
export type { Handler, HandlerContext } from './work/run.js'
export type { FailureReason, WorkerEvents } from './work/events.js'
export type { WorkerOptions } from './work/options.js'
export type { Backoff, BackoffFunction, BackoffOptions } from './work/backoff.js'
export type {
  Outage,
  Source,
  SourceItem,
  WorkableItem,
  SourceScan,
  SourceScanOptions,
} from './work/source.js'
export { receive, type ReceiveOptions } from './receive/receive.js'
export type { Receiver, ReceiverNumbers } from './receive/receiver.js'
export type { Delivery, DeliverySource } from './receive/delivery.js'
/** @internal For `fsq/remote`, which is a bundle of its own. */
export { OtherContents, OtherSize, openIntake, type Intake } from './receive/intake.js'
export type { Outcome, RetryLimit } from './item/outcome.js'
export { WorkItem, type ReleaseOptions, type RetryOptions, type RetryOutcome } from './item/work-item.js'
export type { ScanForeverOptions, ScanOptions } from './scan/options.js'
export type { PullOptions } from './directory/trigger.js'
export type { EnqueueEntry, EnqueueManyOptions, EnqueueOptions, EnqueueSyncOptions } from './enqueue/entry.js'
export type { ArgumentsOf, ArgumentsParameter, EntryOf, PayloadOf } from './enqueue/typed.js'
export type {
  ArgsOf,
  Arguments,
  BodyOf,
  InputOf,
  OutputOf,
  Parser,
  ParserOptions,
  Shape,
  Untyped,
} from './schema/shape.js'
export type {
  StandardSchemaIssue,
  StandardSchemaProps,
  StandardSchemaResult,
  StandardSchemaV1,
} from './schema/standard-schema.js'
export type { LockKind } from './addon/native.js'
export type { ClaimKind } from './directory/claim-kind.js'
export type { InstallOptions, UninstallOptions } from './directory/install.js'
export type { AddHostOptions } from './directory/hosts.js'
export type { DistributeOptions, Distributed } from './hosts/distribute.js'
export type { ItemSummary, NamedItem } from './item/named-item.js'
export { ListedItem, type Counts, type ItemsOptions } from './inspect/lister.js'
export type { ItemState } from './inspect/states.js'
export type { FinishedStats, Stats, WaitingStats } from './inspect/stats.js'
export type { Finding, FindingKind, Fix } from './inspect/finding.js'
export type { Attempt, AttemptError } from './meta/attempts.js'
export type { Finished, FinishedOptions } from './meta/finished.js'
export type { ItemInHand, WorkerInfo } from './meta/workers.js'
export type { Counters, WorkerState } from './work/journal.js'
export type { Keep, PruneKeep } from './maintain/prune.js'
export type { FailedFilter, Redriven, RedriveOptions } from './maintain/redrive.js'
export type { RepairOptions, Repaired, UnmendedFinding } from './maintain/repair.js'
export type { Bytes, Payload } from './enqueue/payload.js'
export type { WebBlob, WebReader, WebStream } from './enqueue/source.js'
export { probe } from './probe/probe.js'
export { type PeerOptions, type PeerProbe, probePeer } from './probe/peer/probe-peer.js'
export type { Peer } from './probe/peer/meeting.js'
export type { PeerFacts, PeerPromises } from './probe/peer/peer-promises.js'
export type { PeerClocks, PeerNames, PeerRenames, PeerSight, PeerTargets } from './probe/peer/trials.js'
export type { Feature, Features, Probe, Promised, Promises } from './probe/promises.js'
export type { EnqueueContext, FinishContext, ProcessContext } from './tracing.js'
export type { Report, ReportListener, ReportType } from './report.js'
export {
  type Constants,
  type SettingKey,
  type SettingOverrides,
  type Settings,
  getConst,
  setConst,
} from './settings.js'
export type { Charset } from './name/charset.js'
export type { NameArgument } from './name/codec.js'
export {
  type Deconstructed,
  type EncodeOptions,
  construct,
  deconstruct,
  decode,
  encode,
} from './compat/names.js'
export {
  type FilePayload,
  type VenqueueOptions,
  done,
  down,
  enqueue,
  fail,
  failPerm,
  failTmp,
  install,
  isDown,
  retry,
  scan,
  scanForever,
  senqueue,
  success,
  trigger,
  triggerPull,
  uninstall,
  untrigger,
  up,
  venqueue,
  vsenqueue,
} from './compat/functions.js'
export * from './compat/hosts.js'
export { queues } from './directory/queues.js'
export {
  AddonMissingError,
  ClaimLostError,
  ClosingError,
  ContentError,
  DiskFullError,
  EncodingError,
  EnqueueAbortedError,
  EnqueueManyError,
  FileSystemError,
  FinishError,
  FsqError,
  type FsqErrorCode,
  type FsqErrorOptions,
  InDoubtError,
  ItemFinishedError,
  ItemGoneError,
  LockNotHeldError,
  LockTimeoutError,
  MalformedNameError,
  MissingPeerError,
  MountError,
  NameTooLongError,
  NatsError,
  type NatsReason,
  NetworkFileSystemError,
  NotAQueueError,
  NotDurableError,
  NotLockableError,
  PayloadError,
  type PayloadErrorOptions,
  type PayloadIssue,
  PeerError,
  PermanentFailure,
  PermissionError,
  PushError,
  type PushReason,
  QueueClosedError,
  QueueDownError,
  QueueExistsError,
  QueueMissingError,
  QueueNameError,
  QueueNotEmptyError,
  ReadOnlyError,
  ReceivingError,
  RetryLater,
  type RetryLaterOptions,
  SeparateMountsError,
  SettingError,
  TooLargeError,
  TooManyFilesError,
  TriggerError,
  WorkerProcessError,
  type WorkerProcessErrorOptions,
  type EnqueueOutcome,
} from './errors/classes.js'
