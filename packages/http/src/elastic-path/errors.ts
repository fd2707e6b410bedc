/**
 * How Elastic Path says what went wrong. Its catalogue (`/pcm`) has the status as a text; its files, its token endpoint, and what
 * stands before all of them and looks at tokens, have a number (docs/dialects/elastic-path.md).
 */
import { randomUUID } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ErrorCode, SluiceError } from '@sluice/core'
import { WireFault } from '../dialect.ts'

export interface Wire {
  readonly status: number
  readonly title: string
  readonly detail?: string
  readonly request_id?: string
  readonly meta?: { readonly missing_ids: readonly string[] }
}

export function sendError(reply: FastifyReply, { status, ...rest }: Wire): FastifyReply {
  // RFC 9110 §15.5.2 asks for it with every 401.
  if (status === 401) void reply.header('www-authenticate', 'Bearer')
  const isText = isCatalogue(reply.request) && status !== 401 && status !== 429
  const error = { status: isText ? String(status) : status, ...rest }
  return reply
    .code(status)
    .type('application/json; charset=utf-8')
    .send({ errors: [error] })
}

function isCatalogue({ url }: FastifyRequest): boolean {
  return url.startsWith('/pcm')
}

/** Text that names what is wrong: a JSON path first, `data.id can not be empty`. */
export function failedValidation(detail: string, missingIds?: readonly string[]): WireFault<Wire> {
  return new WireFault<Wire>({
    status: 422,
    title: 'Failed Validation',
    detail,
    ...(missingIds && { meta: { missing_ids: missingIds } }),
  })
}

export function badRequest(detail: string): WireFault<Wire> {
  return new WireFault<Wire>({ status: 400, title: 'Bad Request', detail })
}

export function filterInvalid(): WireFault<Wire> {
  return badRequest('Could not parse the supplied filter')
}

export function notFound(): WireFault<Wire> {
  return new WireFault<Wire>(NOT_FOUND)
}

const NOT_FOUND: Wire = { status: 404, title: 'Not Found' }
const FILE_NOT_FOUND: Wire = {
  status: 404,
  title: 'Resource Not Found',
  detail: 'The resource you are requesting does not exist',
}
const CONFLICT: Wire = { status: 409, title: 'Conflict', detail: 'write conflict detected' }
const OWNED: Wire = { status: 403, title: 'Forbidden', detail: 'entity owned by organization' }
const UNAUTHORIZED: Wire = { status: 401, title: 'Unable to validate access token' }

type Say = (error: SluiceError, request: FastifyRequest) => Wire

/** Our own words under the title of a status. */
function inOurWords(status: number, title: string): Say {
  return ({ message }) => ({ status, title, detail: message })
}

const bad = inOurWords(400, 'Bad Request')
const tooLarge = inOurWords(413, 'Payload Too Large')
const unsupported = inOurWords(415, 'Unsupported Media Type')
const conflicted = inOurWords(409, 'Conflict')
const invalid: Say = ({ message }, request) => ({
  status: 422,
  title: isCatalogue(request) ? 'Failed Validation' : 'Validation Failed',
  detail: message,
})
const missing: Say = (error, request) => ({ ...invalid(error, request), meta: { missing_ids: idsOf(error) } })
const unknown: Say = (_error, request) => (isCatalogue(request) ? NOT_FOUND : FILE_NOT_FOUND)
const locationInvalid = inOurWords(422, 'file_location invalid')
const forbidden: Say = ({ message }, request) => ({
  status: 403,
  title: isCatalogue(request) ? 'Forbidden' : 'Permission denied',
  detail: message,
})

/** The id stands in the log, too, so that a report leads there. */
const internal: Say = (_error, request) => {
  const request_id = randomUUID()
  request.log.error({ requestId: request_id }, 'answered with a request id')
  const detail = 'There was an internal server error, you can report with your request id.'
  return { status: 500, title: 'Internal Server Error', detail, request_id }
}

function idsOf({ details }: SluiceError): readonly string[] {
  const { missingIds } = details
  return Array.isArray(missingIds) ? missingIds.map(String) : []
}

export const ERRORS_ON_THE_WIRE: Readonly<Record<ErrorCode, Wire | Say>> = {
  request_invalid: bad,
  json_invalid: bad,
  csv_invalid: bad,
  xml_invalid: bad,
  multipart_invalid: bad,
  base64_invalid: bad,
  request_aborted: bad,
  idempotency_key_invalid: bad,
  request_timeout: inOurWords(408, 'Request Timeout'),
  headers_too_large: inOurWords(431, 'Request Header Fields Too Large'),
  request_too_large: tooLarge,
  file_too_large: tooLarge,
  content_type_unsupported: unsupported,

  source_missing: { status: 400, title: 'Validation Failed', detail: 'You have not supplied a file to store' },
  source_ambiguous: invalid,
  file_reference_unknown: invalid,
  file_empty: invalid,
  url_invalid: locationInvalid,
  url_forbidden: locationInvalid,
  url_unreachable: locationInvalid,
  source_unavailable: inOurWords(502, 'Bad Gateway'),
  media_type_missing: invalid,
  media_type_unsupported: invalid,
  media_type_mismatched: invalid,
  image_corrupt: invalid,
  image_truncated: invalid,
  image_pixels_exceeded: invalid,
  image_frames_exceeded: invalid,
  image_too_costly: invalid,

  token_missing: UNAUTHORIZED,
  token_invalid: UNAUTHORIZED,
  credentials_invalid: { status: 401, title: 'Unauthorized' },
  access_forbidden: forbidden,
  rate_exceeded: { status: 429, title: 'Too Many Requests' },
  owned_by_organization: OWNED,

  route_unknown: unknown,
  product_unknown: unknown,
  file_unknown: unknown,
  store_unknown: unknown,
  attribute_unknown: unknown,
  channel_unknown: unknown,
  hierarchy_unknown: unknown,
  node_unknown: unknown,
  import_unknown: unknown,
  ingest_unknown: unknown,
  method_not_allowed: inOurWords(405, 'Method Not Allowed'),
  range_unsatisfiable: inOurWords(416, 'Range Not Satisfiable'),

  write_conflicted: CONFLICT,
  main_image_changed: CONFLICT,
  version_mismatched: CONFLICT,
  order_incomplete: CONFLICT,
  signature_invalid: { status: 401, title: 'Unauthorized' },
  webhook_unknown: unknown,
  webhook_delivery_unknown: unknown,
  webhooks_exceeded: invalid,
  webhook_rotations_exceeded: invalid,
  hook_source_unknown: unknown,
  hook_event_unknown: unknown,
  event_id_reused: conflicted,
  event_unmappable: invalid,
  hook_sources_exceeded: invalid,
  digest_mismatched: invalid,
  upload_unknown: unknown,
  upload_link_invalid: forbidden,
  upload_incomplete: conflicted,
  upload_conflicted: conflicted,
  upload_over: unknown,
  upload_parts_exceeded: tooLarge,
  uploads_exceeded: invalid,
  // Images have no addresses in this API: one that is not there any more was taken off by somebody else.
  image_unknown: CONFLICT,
  idempotency_key_in_flight: conflicted,
  import_busy: conflicted,
  import_rows_exceeded: tooLarge,
  imports_exceeded: invalid,
  plan_outdated: CONFLICT,
  row_invalid: invalid,
  row_conflicted: invalid,
  park_expired: invalid,
  ingest_not_replayable: conflicted,
  ingest_bytes_gone: inOurWords(410, 'Gone'),
  version_required: inOurWords(428, 'Precondition Required'),

  sku_taken: { status: 422, title: 'Failed Validation', detail: 'data.attributes.sku: Must be unique amongst products.' },
  role_unknown: invalid,
  images_unsupported: invalid,
  images_exceeded: invalid,
  nodes_missing: missing,
  node_name_taken: { status: 422, title: 'Failed Validation', detail: 'data.attributes.name: Must be unique amongst siblings.' },
  node_slug_taken: { status: 422, title: 'Failed Validation', detail: 'data.attributes.slug: Must be unique amongst siblings.' },
  node_too_deep: invalid,
  node_cyclic: invalid,
  idempotency_key_reused: invalid,

  bytes_damaged: internal,
  decoder_died: internal,
  attempts_exhausted: internal,
  internal_error: internal,
  storage_full: inOurWords(507, 'Insufficient Storage'),
  tenant_busy: inOurWords(429, 'Too Many Requests'),
  service_busy: inOurWords(503, 'Service Unavailable'),
  service_unavailable: inOurWords(503, 'Service Unavailable'),
}
