/**
 * How OpenMage says what went wrong: a list of messages, each with a number, of which the last is the status. Its clients look for
 * the exact words (docs/dialects/openmage.md).
 */
import type { FastifyReply } from 'fastify'
import type { ErrorCode, SluiceError } from '@sluice/core'
import { WireFault } from '../dialect.ts'
import { formatOf, render } from './formats.ts'

export interface Wire {
  readonly status: number
  readonly messages: readonly string[]
}

export function sendError(reply: FastifyReply, { status, messages }: Wire): FastifyReply {
  if (status === 401) void reply.header('www-authenticate', 'OAuth')
  const { type, body } = render(formatOf(reply.request.headers.accept), {
    messages: { error: messages.map((message) => ({ code: status, message })) },
  })
  return reply.code(status).type(type).send(body)
}

function wire(status: number, ...messages: readonly string[]): Wire {
  return { status, messages }
}

const DATA_INVALID = wire(400, 'The request data is invalid.')
const IMAGE_MISSING = wire(400, 'The image is not specified', 'Resource data pre-validation error.')
const UNKNOWN_ERROR = wire(400, 'Resource unknown error.')
const MIME_UNSUPPORTED = wire(400, 'Unsupported image MIME type')
const METHOD_MISSING = wire(405, 'Resource method not implemented yet.')
const ACCESS_DENIED = wire(403, 'Access denied')
const NOT_FOUND = wire(404, 'Resource not found.')
const INTERNAL_ERROR = wire(500, 'Resource internal error.')

const fault = (said: Wire) => () => new WireFault<Wire>(said)
export const dataInvalid = fault(DATA_INVALID)
export const imageMissing = fault(IMAGE_MISSING)
export const mimeUnsupported = fault(MIME_UNSUPPORTED)
export const unknownError = fault(UNKNOWN_ERROR)
export const methodMissing = fault(METHOD_MISSING)
export const accessDenied = fault(ACCESS_DENIED)
export const imageNotFound = fault(wire(404, 'Product image not found'))
export const imageNotSaved = fault(wire(500, 'Unknown error during image save'))

/** What one field lacks, before the words that the other system has for all of them. */
export function fieldInvalid(detail: string): WireFault<Wire> {
  return new WireFault(wire(400, detail, 'Resource data pre-validation error.'))
}

/** A request that cannot be read. */
export function badRequest(message: string): WireFault<Wire> {
  return new WireFault(wire(400, message))
}

/** OAuth Problem Reporting: a code, and what it is about. */
export function oauthProblem(code: string, about: Readonly<Record<string, string>> = {}): WireFault<Wire> {
  return new WireFault(wire(401, new URLSearchParams({ oauth_problem: code, ...about }).toString()))
}

type Say = (error: SluiceError) => Wire

/** Where that system has no words, ours. */
const inOurWords: Say = ({ status, message }) => wire(status, message)
/** Its own words are vague: ours come after them. */
const imageRefused: Say = ({ message }) => wire(400, ...UNKNOWN_ERROR.messages, message)
const tokenRejected = wire(401, 'oauth_problem=token_rejected')
const unavailable: Say = ({ message }) => wire(503, 'Service temporary unavailable', message)

export const ERRORS_ON_THE_WIRE: Readonly<Record<ErrorCode, Wire | Say>> = {
  request_invalid: DATA_INVALID,
  multipart_invalid: DATA_INVALID,
  json_invalid: wire(400, 'Decoding error.'),
  csv_invalid: wire(400, 'Decoding error.'),
  xml_invalid: wire(400, 'Decoding error.'),
  base64_invalid: wire(400, 'The image content must be valid base64 encoded data'),
  content_type_unsupported: ({ message }) => wire(400, message),
  request_aborted: inOurWords,
  request_timeout: inOurWords,
  request_too_large: inOurWords,
  headers_too_large: inOurWords,
  file_too_large: inOurWords,

  source_missing: IMAGE_MISSING,
  file_empty: IMAGE_MISSING,
  media_type_missing: IMAGE_MISSING,
  media_type_mismatched: MIME_UNSUPPORTED,
  media_type_unsupported: UNKNOWN_ERROR,
  image_corrupt: imageRefused,
  image_truncated: imageRefused,
  image_pixels_exceeded: imageRefused,
  image_frames_exceeded: imageRefused,
  image_too_costly: imageRefused,
  images_exceeded: imageRefused,

  token_missing: tokenRejected,
  token_invalid: tokenRejected,
  credentials_invalid: tokenRejected,
  access_forbidden: ACCESS_DENIED,
  rate_exceeded: inOurWords,
  owned_by_organization: ACCESS_DENIED,

  route_unknown: wire(404, 'Request does not match any route.'),
  method_not_allowed: wire(400, 'Invalid request method'),
  product_unknown: NOT_FOUND,
  image_unknown: NOT_FOUND,
  file_unknown: NOT_FOUND,
  import_unknown: NOT_FOUND,
  ingest_unknown: NOT_FOUND,
  store_unknown: wire(400, 'Requested store is invalid'),
  images_unsupported: wire(400, 'Requested product does not support images'),

  idempotency_key_invalid: inOurWords,
  idempotency_key_in_flight: inOurWords,
  idempotency_key_reused: inOurWords,
  range_unsatisfiable: inOurWords,

  write_conflicted: INTERNAL_ERROR,
  bytes_damaged: INTERNAL_ERROR,
  decoder_died: INTERNAL_ERROR,
  attempts_exhausted: INTERNAL_ERROR,
  internal_error: INTERNAL_ERROR,
  storage_full: inOurWords,
  tenant_busy: inOurWords,
  service_busy: unavailable,
  service_unavailable: unavailable,

  // What no request of this API can meet.
  source_ambiguous: inOurWords,
  file_reference_unknown: inOurWords,
  url_invalid: inOurWords,
  url_forbidden: inOurWords,
  url_unreachable: inOurWords,
  source_unavailable: inOurWords,
  attribute_unknown: inOurWords,
  channel_unknown: inOurWords,
  hierarchy_unknown: inOurWords,
  node_unknown: inOurWords,
  sku_taken: inOurWords,
  main_image_changed: inOurWords,
  version_mismatched: inOurWords,
  version_required: inOurWords,
  order_incomplete: inOurWords,
  role_unknown: inOurWords,
  nodes_missing: inOurWords,
  node_name_taken: inOurWords,
  node_slug_taken: inOurWords,
  node_too_deep: inOurWords,
  node_cyclic: inOurWords,
  import_busy: inOurWords,
  import_rows_exceeded: inOurWords,
  imports_exceeded: inOurWords,
  plan_outdated: inOurWords,
  row_invalid: inOurWords,
  row_conflicted: inOurWords,
  park_expired: inOurWords,
  ingest_not_replayable: inOurWords,
  ingest_bytes_gone: inOurWords,
  signature_invalid: tokenRejected,
  webhook_unknown: inOurWords,
  webhook_delivery_unknown: inOurWords,
  webhooks_exceeded: inOurWords,
  webhook_rotations_exceeded: inOurWords,
  hook_source_unknown: inOurWords,
  hook_event_unknown: inOurWords,
  event_id_reused: inOurWords,
  event_unmappable: inOurWords,
  hook_sources_exceeded: inOurWords,
  digest_mismatched: inOurWords,
  upload_unknown: inOurWords,
  upload_link_invalid: inOurWords,
  upload_incomplete: inOurWords,
  upload_conflicted: inOurWords,
  upload_over: inOurWords,
  upload_parts_exceeded: inOurWords,
  uploads_exceeded: inOurWords,
}
