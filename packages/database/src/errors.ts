/**
 * What PostgreSQL and its driver throw, in our words. The original errors carry statements and parameters in their messages
 * and fields: they are dropped here, and what remains is fit for a log.
 */
import { type ErrorCode, SluiceError } from '@sluice/core'
import { DrizzleQueryError } from './drizzle.ts'

/** An error of the database without the values that it was about. */
class DatabaseError extends Error {
  override readonly name = 'DatabaseError'
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

/** The server asks for the whole transaction again: serialisation failure, deadlock. */
const RETRYABLE = new Set(['40001', '40P01'])

/** Text that no column of ours can hold: NUL, an unpaired surrogate, a number or an id that is none. */
const UNSAYABLE = new Set(['22021', '22P05', '22P02', '22003', '22001', '22007', '22008'])

/**
 * Classes of SQLSTATE that a wait may heal, or an operator: connection, authorisation, missing database, resources,
 * intervention, system error. 25P03, 25006, 55000: an idle transaction that was cut off, a server that became a standby, and a
 * database that takes no connections for now (`allow_connections false`).
 */
const OUTAGE = /^(08|28|3D|53|57|58|25P03|25006|55000)/

/** The driver's own codes and Node's: `CONNECTION_CLOSED`, `CONNECT_TIMEOUT`, `ECONNREFUSED`, `ABORT_ERR`. */
const UNREACHABLE = /^(CONNECT|E(?!RR_)|ABORT_ERR)/

export function isRetryable(error: unknown): boolean {
  return RETRYABLE.has(codeOf(error) ?? '')
}

/** The name of the constraint that was violated. */
function violatedConstraint(error: unknown): string | null {
  const name = fieldOf(origin(error), 'constraint_name')
  return typeof name === 'string' ? name : null
}

/** Errors that do not come from the database pass through unchanged. */
export function translate(error: unknown): unknown {
  const code = codeOf(error) ?? (error instanceof DrizzleQueryError ? 'driver' : null)
  if (code === null || SluiceError.is(error)) return error
  return new SluiceError(errorCodeFor(code), undefined, { cause: new DatabaseError(code, describe(error, code)) })
}

function errorCodeFor(code: string): ErrorCode {
  if (RETRYABLE.has(code) || code === '55P03') return 'write_conflicted'
  if (UNSAYABLE.has(code)) return 'request_invalid'
  return OUTAGE.test(code) || UNREACHABLE.test(code) ? 'service_unavailable' : 'internal_error'
}

/** Messages of class 22 quote the value that was wrong. */
function describe(error: unknown, code: string): string {
  const { message } = origin(error)
  const constraint = violatedConstraint(error)
  const said = code.startsWith('22') ? 'a value was refused' : message
  return constraint === null ? `${code}: ${said}` : `${code}: ${said} (${constraint})`
}

function codeOf(error: unknown): string | null {
  const code = fieldOf(origin(error), 'code')
  return typeof code === 'string' ? code : null
}

/** Drizzle wraps the driver's error in one whose message is the statement with its parameters. */
function origin(error: unknown): Error {
  let found = error
  while (found instanceof DrizzleQueryError && found.cause) found = found.cause
  return found instanceof Error ? found : new Error(String(found))
}

function fieldOf(error: Error, field: string): unknown {
  return field in error ? Reflect.get(error, field) : undefined
}
