/**
 * What the errors of the client and the server mean.
 *
 * @module
 */
import { types } from 'node:util'

import { NatsError, type NatsReason } from '../index.js'

/** An error in the answer to a request of JetStream. */
export interface ApiError {
  readonly code: number
  readonly err_code: number
  readonly description: string
}

// The numbers of the server's errors (server/errors.json).
export const WRONG_LAST_SEQUENCE = 10071
export const MESSAGE_TOO_LARGE = 10054
const NOT_FOUND = [10059, 10014]
const FULL = [10077, 10023, 10028, 10047, 10122]
const WRONG_STREAM = 10060

const UNANSWERED = ['NoResponders', 'JetStreamNotEnabled']
// The text of the client for a server without TLS.
const NO_TLS = "server does not support 'tls'"
/** The codes of Node for a certificate that one side does not take. */
const BAD_CERTIFICATE = /CERT|^ERR_SSL_|UNABLE_TO_VERIFY/

const ADVICE: Readonly<Record<NatsReason, string>> = {
  away: 'It is tried again until the server is back',
  timeout: 'The server may have done it nevertheless. It is tried again',
  missing: 'Create the stream or the consumer, or correct its name and its subjects',
  denied: 'Give the user of these credentials the right, or use other credentials',
  full: 'Raise max_bytes or max_msgs of the stream, or make room on its disk',
  other: 'See the log of the server',
}

/** The error of a link that is down. */
export function awayError(cause: unknown): NatsError {
  const reason = cause === undefined ? 'away' : reasonOf(cause)
  return new NatsError(
    `There is no connection to the NATS server${textOf(cause)}`,
    reason === 'denied' ? 'denied' : 'away',
    { cause, advice: reason === 'denied' ? adviceOn(reason, cause) : ADVICE.away },
  )
}

/** @param doing - What has failed: `Publishing to …`. */
export function natsError(error: unknown, doing: string): NatsError {
  if (error instanceof NatsError) return error
  const reason = reasonOf(error)
  return new NatsError(`${doing} has failed${textOf(error)}`, reason, {
    cause: error,
    advice: adviceOn(reason, error),
  })
}

/** The error in an answer of JetStream. */
export function apiError({ err_code, description }: ApiError, doing: string): NatsError {
  const reason = reasonOfCode(err_code)
  const hint =
    err_code === WRONG_STREAM
      ? 'Another stream takes the subject. Correct the subjects of the streams'
      : undefined
  return new NatsError(`${doing} has failed: ${description} (${err_code})`, reason, {
    advice: hint ?? ADVICE[reason],
  })
}

/** Whether an error stays until a user changes something. Without a responder, a stream may only have no leader for a moment. */
export function isLasting(error: unknown): boolean {
  if (!(error instanceof NatsError)) return false
  if (error.reason === 'denied') return true
  return error.reason === 'missing' && !causesOf(error).some(({ name }) => UNANSWERED.includes(name))
}

/** Also for errors of another realm, such as that of a test runner. */
export function isError(error: unknown): error is Error {
  return types.isNativeError(error)
}

function reasonOfCode(code: number): NatsReason {
  if (NOT_FOUND.includes(code) || code === WRONG_STREAM) return 'missing'
  return FULL.includes(code) ? 'full' : 'other'
}

function adviceOn(reason: NatsReason, error: unknown): string {
  return causesOf(error).some(isOfTls)
    ? 'Give the authority of the certificate of the server, the certificate that the server wants, or a server with TLS'
    : ADVICE[reason]
}

function causesOf(error: unknown): readonly (Error & { readonly code?: unknown })[] {
  const causes: Error[] = []
  for (let cause = error; isError(cause) && causes.length < 5; cause = cause.cause) causes.push(cause)
  return causes
}

function isOfTls({ code, message }: Error & { readonly code?: unknown }): boolean {
  return (typeof code === 'string' && BAD_CERTIFICATE.test(code)) || message === NO_TLS
}

/** By names and not by classes: the client is loaded late, and there may be several copies of it. */
function reasonOf(error: unknown): NatsReason {
  for (const cause of causesOf(error)) {
    if (isOfTls(cause)) return 'denied'
    switch (cause.name) {
      case 'TimeoutError':
        return 'timeout'
      case 'NoResponders':
      case 'JetStreamNotEnabled':
        return 'missing'
      case 'PermissionViolationError':
      case 'AuthorizationError':
      case 'UserAuthenticationExpiredError':
        return 'denied'
      case 'StreamNotFoundError':
      case 'ConsumerNotFoundError':
        return 'missing'
      case 'JetStreamApiError':
        return reasonOfCode(Number(cause.code ?? 0))
      case 'ClosedConnectionError':
      case 'DrainingConnectionError':
      case 'ConnectionError':
        return 'away'
      default:
    }
  }
  // The client rejects requests that are in flight when the link is cut with a bare RequestError.
  return isError(error) && error.name === 'RequestError' ? 'away' : 'other'
}

function textOf(error: unknown): string {
  if (!isError(error) || error.message === '') return ''
  return `: ${error.message.split('\n', 1)[0] ?? ''}`
}
