/** How Akeneo says what went wrong: the status again as `code`, a `message`, and for values that are not valid each `errors`. */
import type { FastifyReply } from 'fastify'
import type { ErrorCode, SluiceError } from '@sluice/core'
import { WireFault } from '../dialect.ts'

export interface Wire {
  readonly code: number
  readonly message: string
  readonly errors?: readonly Violation[]
}

/** What is wrong with the value of one attribute. */
export interface Violation {
  readonly property: 'values'
  readonly message: string
  readonly attribute: string
  readonly locale: string | null
  readonly scope: string | null
}

export function sendError(reply: FastifyReply, wire: Wire): FastifyReply {
  // RFC 9110 §15.5.2 asks for it with every 401.
  if (wire.code === 401) void reply.header('www-authenticate', 'Bearer')
  const message = wire.code === 405 ? methodNotAllowed(reply) : wire.message
  return reply
    .code(wire.code)
    .type('application/json')
    .send({ ...wire, message })
}

function methodNotAllowed(reply: FastifyReply): string {
  return `${noRoute(reply.request)}: Method Not Allowed (Allow: ${String(reply.getHeader('allow'))})`
}

function noRoute({ method, url }: { readonly method: string; readonly url: string }): string {
  return `No route found for '${method} ${url.split('?', 1)[0]}'`
}

export function fault(code: number, message: string, options?: { cause?: unknown }): WireFault<Wire> {
  return new WireFault<Wire>({ code, message }, options)
}

export function unprocessable(message: string, options?: { cause?: unknown }): WireFault<Wire> {
  return fault(422, message, options)
}

export function validationFailed(errors: readonly Violation[], options?: { cause?: unknown }): WireFault<Wire> {
  return new WireFault<Wire>({ code: 422, message: 'Validation failed.', errors }, options)
}

export function mediaFileUnknown(code: string): WireFault<Wire> {
  return fault(404, `Media file "${code}" does not exist.`)
}

const UNAUTHENTICATED: Wire = { code: 401, message: 'Authentication is required' }
const FORBIDDEN: Wire = { code: 403, message: 'Access forbidden. You are not allowed to create or update products.' }
const JSON_INVALID: Wire = { code: 400, message: 'Invalid json message received' }
const CLIENT_INVALID: Wire = {
  code: 422,
  message: 'Parameter "client_id" is missing or does not match any client, or secret is invalid',
}
const FILE_MISSING: Wire = { code: 422, message: 'Property "file" is required.' }

/** Our own words under a status. */
function inOurWords(code: number): (error: SluiceError) => Wire {
  return ({ message }) => ({ code, message })
}

const bad = inOurWords(400)
const invalid = inOurWords(422)
const missing = inOurWords(404)
const conflicted = inOurWords(409)
const tooLarge = inOurWords(413)
const internal: Wire = { code: 500, message: 'Internal Server Error' }

type Entry = Wire | ((error: SluiceError, request: { readonly method: string; readonly url: string }) => Wire)

export const ERRORS_ON_THE_WIRE: Readonly<Record<ErrorCode, Entry>> = {
  request_invalid: bad,
  json_invalid: JSON_INVALID,
  csv_invalid: bad,
  xml_invalid: bad,
  multipart_invalid: bad,
  base64_invalid: bad,
  request_aborted: bad,
  idempotency_key_invalid: bad,
  request_timeout: inOurWords(408),
  request_too_large: tooLarge,
  file_too_large: tooLarge,
  headers_too_large: inOurWords(431),
  content_type_unsupported: inOurWords(415),

  source_missing: FILE_MISSING,
  source_ambiguous: invalid,
  file_reference_unknown: invalid,
  file_empty: invalid,
  url_invalid: invalid,
  url_forbidden: invalid,
  url_unreachable: invalid,
  source_unavailable: inOurWords(502),
  media_type_missing: invalid,
  media_type_unsupported: invalid,
  media_type_mismatched: invalid,
  image_corrupt: invalid,
  image_truncated: invalid,
  image_pixels_exceeded: invalid,
  image_frames_exceeded: invalid,
  image_too_costly: invalid,

  token_missing: UNAUTHENTICATED,
  token_invalid: UNAUTHENTICATED,
  credentials_invalid: CLIENT_INVALID,
  access_forbidden: FORBIDDEN,
  rate_exceeded: inOurWords(429),
  owned_by_organization: FORBIDDEN,

  route_unknown: (_error, request) => ({ code: 404, message: noRoute(request) }),
  method_not_allowed: inOurWords(405),
  file_unknown: missing,
  image_unknown: missing,
  store_unknown: missing,
  hierarchy_unknown: missing,
  node_unknown: missing,
  import_unknown: missing,
  ingest_unknown: missing,
  range_unsatisfiable: inOurWords(416),
  // What a request speaks of, and not what it is sent to: Akeneo says 422.
  product_unknown: invalid,
  attribute_unknown: invalid,
  channel_unknown: invalid,

  sku_taken: conflicted,
  write_conflicted: conflicted,
  main_image_changed: conflicted,
  idempotency_key_in_flight: conflicted,
  import_busy: conflicted,
  import_rows_exceeded: tooLarge,
  imports_exceeded: invalid,
  plan_outdated: inOurWords(412),
  row_invalid: invalid,
  row_conflicted: invalid,
  park_expired: invalid,
  ingest_not_replayable: conflicted,
  ingest_bytes_gone: inOurWords(410),
  signature_invalid: CLIENT_INVALID,
  webhook_unknown: missing,
  webhook_delivery_unknown: missing,
  webhooks_exceeded: invalid,
  webhook_rotations_exceeded: invalid,
  hook_source_unknown: missing,
  hook_event_unknown: missing,
  event_id_reused: conflicted,
  event_unmappable: invalid,
  hook_sources_exceeded: invalid,
  digest_mismatched: invalid,
  upload_unknown: missing,
  upload_link_invalid: FORBIDDEN,
  upload_incomplete: conflicted,
  upload_conflicted: conflicted,
  upload_over: inOurWords(410),
  upload_parts_exceeded: tooLarge,
  uploads_exceeded: invalid,
  version_mismatched: inOurWords(412),
  version_required: inOurWords(428),
  order_incomplete: invalid,
  role_unknown: invalid,
  images_unsupported: invalid,
  images_exceeded: invalid,
  nodes_missing: invalid,
  node_name_taken: invalid,
  node_slug_taken: invalid,
  node_too_deep: invalid,
  node_cyclic: invalid,
  idempotency_key_reused: invalid,

  bytes_damaged: internal,
  decoder_died: internal,
  attempts_exhausted: internal,
  internal_error: internal,
  storage_full: inOurWords(507),
  tenant_busy: inOurWords(429),
  service_busy: inOurWords(503),
  service_unavailable: inOurWords(503),
}
