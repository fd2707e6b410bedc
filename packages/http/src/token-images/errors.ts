/** How Django REST framework says what went wrong: lists of texts by field for what was sent, one `detail` for all else. */
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ErrorCode, SluiceError } from '@sluice/core'
import { WireFault } from '../dialect.ts'

export interface Wire {
  readonly status: number
  readonly body: Readonly<Record<string, string | readonly string[]>>
}

export function sendError(reply: FastifyReply, { status, body }: Wire): FastifyReply {
  if (status === 401) void reply.header('www-authenticate', 'Token')
  return reply.code(status).type('application/json; charset=utf-8').send(body)
}

export type FieldFaults = Readonly<Record<string, readonly string[]>>

/** What is wrong with what was sent, each field under its name. */
export function fieldFaults(faults: FieldFaults): WireFault<Wire> {
  return new WireFault<Wire>({ status: 400, body: faults })
}

export const NO_FILE = 'No file was submitted.'

/** What is wrong with no single field. */
export const WHOLE = 'non_field_errors'

type Say = (error: SluiceError, request: FastifyRequest) => Wire

const detail = (status: number, text: string): Wire => ({ status, body: { detail: text } })
const ofImage = (text: string): Wire => ({ status: 400, body: { image: [text] } })

const notFound = detail(404, 'Not found.')
const failed = detail(500, 'A server error occurred.')
const noImage = ofImage('Upload a valid image. The file you uploaded was either not an image or a corrupted image.')

/** Our own words, under our own status. */
const inOurWords: Say = ({ status, message }) => detail(status, message)
const imageInOurWords: Say = ({ message }) => ofImage(message)
const wholeInOurWords: Say = ({ message }) => ({ status: 400, body: { [WHOLE]: [message] } })
const fieldInOurWords: Say = ({ message, details: { field } }) =>
  typeof field === 'string' ? { status: 400, body: { [field]: [message] } } : detail(400, message)
const parseError =
  (what: string): Say =>
  ({ message }) =>
    detail(400, `${what} parse error - ${message}`)

export const ERRORS_ON_THE_WIRE: Readonly<Record<ErrorCode, Wire | Say>> = {
  request_invalid: fieldInOurWords,
  json_invalid: parseError('JSON'),
  csv_invalid: parseError('CSV'),
  xml_invalid: parseError('XML'),
  multipart_invalid: parseError('Multipart form'),
  base64_invalid: inOurWords,
  request_timeout: inOurWords,
  request_too_large: inOurWords,
  request_aborted: inOurWords,
  headers_too_large: inOurWords,
  content_type_unsupported: inOurWords,

  source_missing: ofImage(NO_FILE),
  source_ambiguous: ofImage('Only one file can be submitted.'),
  file_reference_unknown: imageInOurWords,
  file_empty: ofImage('The submitted file is empty.'),
  file_too_large: inOurWords,
  url_invalid: imageInOurWords,
  url_forbidden: imageInOurWords,
  url_unreachable: imageInOurWords,
  source_unavailable: inOurWords,

  media_type_missing: noImage,
  media_type_unsupported: noImage,
  media_type_mismatched: noImage,
  image_corrupt: noImage,
  image_truncated: noImage,
  image_pixels_exceeded: imageInOurWords,
  image_frames_exceeded: imageInOurWords,
  image_too_costly: imageInOurWords,

  token_missing: detail(401, 'Authentication credentials were not provided.'),
  token_invalid: detail(401, 'Invalid token.'),
  credentials_invalid: detail(401, 'Invalid token.'),
  access_forbidden: detail(403, 'You do not have permission to perform this action.'),
  rate_exceeded: detail(429, 'Request was throttled.'),
  owned_by_organization: detail(403, 'You do not have permission to perform this action.'),

  route_unknown: notFound,
  product_unknown: notFound,
  file_unknown: notFound,
  image_unknown: notFound,
  store_unknown: notFound,
  attribute_unknown: notFound,
  channel_unknown: notFound,
  hierarchy_unknown: notFound,
  node_unknown: notFound,
  import_unknown: notFound,
  ingest_unknown: notFound,
  method_not_allowed: (_error, { method }) => detail(405, `Method "${method}" not allowed.`),
  range_unsatisfiable: inOurWords,

  sku_taken: inOurWords,
  write_conflicted: inOurWords,
  main_image_changed: inOurWords,
  version_mismatched: inOurWords,
  version_required: inOurWords,
  order_incomplete: wholeInOurWords,
  role_unknown: wholeInOurWords,
  images_unsupported: wholeInOurWords,
  images_exceeded: wholeInOurWords,
  nodes_missing: wholeInOurWords,
  node_name_taken: wholeInOurWords,
  node_slug_taken: wholeInOurWords,
  node_too_deep: wholeInOurWords,
  node_cyclic: wholeInOurWords,
  idempotency_key_invalid: inOurWords,
  idempotency_key_in_flight: inOurWords,
  idempotency_key_reused: inOurWords,
  import_busy: inOurWords,
  import_rows_exceeded: inOurWords,
  imports_exceeded: inOurWords,
  plan_outdated: inOurWords,
  row_invalid: inOurWords,
  row_conflicted: inOurWords,
  park_expired: inOurWords,
  ingest_not_replayable: inOurWords,
  ingest_bytes_gone: inOurWords,
  signature_invalid: detail(401, 'Invalid token.'),
  webhook_unknown: notFound,
  webhook_delivery_unknown: notFound,
  webhooks_exceeded: inOurWords,
  webhook_rotations_exceeded: inOurWords,
  hook_source_unknown: notFound,
  hook_event_unknown: notFound,
  event_id_reused: inOurWords,
  event_unmappable: inOurWords,
  hook_sources_exceeded: inOurWords,
  digest_mismatched: inOurWords,
  upload_unknown: notFound,
  upload_link_invalid: inOurWords,
  upload_incomplete: inOurWords,
  upload_conflicted: inOurWords,
  upload_over: inOurWords,
  upload_parts_exceeded: inOurWords,
  uploads_exceeded: inOurWords,

  bytes_damaged: failed,
  decoder_died: failed,
  attempts_exhausted: failed,
  internal_error: failed,
  storage_full: inOurWords,
  tenant_busy: inOurWords,
  service_busy: inOurWords,
  service_unavailable: inOurWords,
}
