import { randomInt } from 'node:crypto'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { ERRORS, type ErrorCode, SluiceError } from '@sluice/core'
import { fieldError } from './validation.ts'

/** RFC 9457, with our stable `code` beside the type. */
export interface ProblemDocument {
  readonly type: string
  readonly title: string
  readonly status: number
  readonly code: ErrorCode
  readonly detail?: string
  readonly [extension: string]: unknown
}

export const PROBLEM_TYPE = 'application/problem+json'

/** The body for an error. Details are extensions; what is not a SluiceError tells nothing of itself. */
export function problemOf(error: SluiceError): ProblemDocument {
  const { status, title } = ERRORS[error.code]
  const detail = error.message === title ? {} : { detail: error.message }
  return { type: 'about:blank', title, status, ...detail, ...error.details, code: error.code }
}

/** Who was turned away comes again at a time of its own within these seconds, and not with all others at once. */
const BUSY_SECONDS = { min: 2, max: 6 }

/** `Retry-After` in seconds, where the same request may succeed a little later. */
export function retryAfterOf({ code, status }: SluiceError): string | null {
  if (code === 'service_busy' || code === 'tenant_busy') return String(randomInt(BUSY_SECONDS.min, BUSY_SECONDS.max + 1))
  if (status === 503) return '3'
  return code === 'idempotency_key_in_flight' || code === 'write_conflicted' ? '1' : null
}

function sendProblem(reply: FastifyReply, error: SluiceError): FastifyReply {
  if (error.code === 'token_missing' || error.code === 'token_invalid') {
    // RFC 6750 §3: the error attribute is left out when no token was given.
    void reply.header('www-authenticate', error.code === 'token_invalid' ? 'Bearer error="invalid_token"' : 'Bearer')
  }
  const retryAfter = retryAfterOf(error)
  if (retryAfter !== null && !reply.hasHeader('retry-after')) void reply.header('retry-after', retryAfter)
  return reply.code(error.status).type(PROBLEM_TYPE).send(problemOf(error))
}

/** The error handler of a native scope. Errors of 500 and above are logged with their cause; the caller learns only the code. */
export function handleError(error: FastifyError | Error, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const ours = asSluiceError(error)
  if (ours.status >= 500) request.log.error({ err: ours.cause ?? ours, code: ours.code }, 'request failed')
  return sendProblem(reply, ours)
}

const FASTIFY_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'content_type_unsupported',
  FST_ERR_CTP_BODY_TOO_LARGE: 'request_too_large',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'request_invalid',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'json_invalid',
  FST_ERR_CTP_INVALID_JSON_BODY: 'json_invalid',
  FST_ERR_NOT_FOUND: 'route_unknown',
  FST_ERR_MAX_PARAM_LENGTH: 'route_unknown',
}

/** Translates what Fastify throws; our own errors pass, and anything else is `internal_error`. */
export function asSluiceError(error: FastifyError | Error): SluiceError {
  if (SluiceError.is(error)) return error
  if ('validation' in error && error.validation) {
    const whole = ('validationContext' in error && error.validationContext) || 'body'
    const errors = error.validation.map((fault) => fieldError(fault, whole))
    const [first] = errors
    return new SluiceError('request_invalid', first ? `${first.field} ${first.message}.` : undefined, {
      details: { errors },
      cause: error,
    })
  }
  if ('code' in error && error.code === 'FST_ERR_BAD_URL') {
    return new SluiceError('request_invalid', 'The address is not UTF-8 in percent-encoding.', { cause: error })
  }
  const code = 'code' in error ? FASTIFY_CODES[error.code] : undefined
  if (code) return new SluiceError(code, undefined, { cause: error })
  const status = 'statusCode' in error ? error.statusCode : undefined
  // Plugins speak by status: a path that leads out of what is served is 403, a body that its parser cannot read 400.
  if (status === 403 || status === 404) return new SluiceError('route_unknown', undefined, { cause: error })
  if (status !== undefined && status >= 400 && status < 500)
    return new SluiceError('request_invalid', undefined, { cause: error })
  return new SluiceError('internal_error', undefined, { cause: error })
}
