/**
 * Failed attempts as commands print them.
 *
 * @module
 */
import type { Attempt, AttemptError } from '../meta/attempts.js'
import { errorText } from '../meta/attempts.js'

/** The name of the errors that a scan writes down of its programs. */
export const PROGRAM_ERROR = 'ProgramError'

/** An error in one line. */
export function errorLine(error: AttemptError): string {
  const isOfProgram = error.name === PROGRAM_ERROR && error.message !== ''
  const [line = ''] = (isOfProgram ? error.message : errorText(error)).trim().split('\n')
  return line
}

/** Why an attempt did not succeed, in one line. */
export function attemptLine({ error, together }: Attempt): string {
  if (error !== undefined) return errorLine(error)
  return together === 1
    ? 'its worker died with this item alone in hand'
    : `its worker died with ${together ?? 'several'} items in hand`
}

/** An error as `--json` prints it. */
export function errorJson({ name, message, code }: AttemptError): Readonly<Record<string, unknown>> {
  return { name, message, code: code ?? null }
}

/** An attempt as `--json` prints it. */
export function attemptJson(attempt: Attempt): Readonly<Record<string, unknown>> {
  const { at, id, outcome, reason, host, pid, ms, due, together, error } = attempt
  return {
    id,
    at: at.toISOString(),
    try: attempt.try,
    outcome,
    reason: reason ?? null,
    ms: ms ?? null,
    host,
    pid,
    due: due?.toISOString() ?? null,
    together: together ?? null,
    error: error === undefined ? null : { ...errorJson(error), stack: error.stack ?? null },
  }
}
