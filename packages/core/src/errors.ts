/**
 * Every error that a caller can meet: its HTTP status and what it means, in one table.
 * Codes are stable, `noun_adjective`; dialects translate them and do not compile while one is missing.
 */
export const ERRORS = {
  // The request as text
  request_invalid: { status: 400, title: 'The request is not valid' },
  json_invalid: { status: 400, title: 'The body is not valid JSON' },
  csv_invalid: { status: 400, title: 'The body is not valid CSV' },
  xml_invalid: { status: 400, title: 'The body is not valid XML' },
  multipart_invalid: { status: 400, title: 'The body is not valid multipart/form-data' },
  base64_invalid: { status: 400, title: 'The content is not valid base64' },
  request_timeout: { status: 408, title: 'The request took too long to arrive' },
  request_too_large: { status: 413, title: 'The request is too large' },
  request_aborted: { status: 400, title: 'The request ended before its body was complete' },
  headers_too_large: { status: 431, title: 'The address or the headers of the request are too large' },
  content_type_unsupported: { status: 415, title: 'This route does not accept this Content-Type' },
  // The source of an image
  source_missing: { status: 422, title: 'No image was given' },
  source_ambiguous: { status: 422, title: 'More than one source was given for one image' },
  file_reference_unknown: { status: 422, title: 'The file that the request refers to does not exist' },
  file_empty: { status: 422, title: 'The file is empty' },
  file_too_large: { status: 413, title: 'The file is too large' },
  digest_mismatched: { status: 422, title: 'The file does not have the sha256 that was promised' },
  // An upload that was reserved
  upload_unknown: { status: 404, title: 'The upload does not exist' },
  upload_link_invalid: { status: 403, title: 'The address of the upload is not valid, or not any more' },
  upload_incomplete: { status: 409, title: 'The upload is not complete' },
  upload_conflicted: { status: 409, title: 'The upload was written to from elsewhere' },
  upload_over: { status: 410, title: 'The upload is over' },
  upload_parts_exceeded: { status: 413, title: 'The upload came in too many parts' },
  uploads_exceeded: { status: 422, title: 'There are too many uploads that are not over' },
  // A source at another address
  url_invalid: { status: 422, title: 'The address of the file is not valid' },
  url_forbidden: { status: 422, title: 'The address of the file may not be fetched' },
  url_unreachable: { status: 422, title: 'The file could not be fetched from its address' },
  // The type of the bytes
  media_type_missing: { status: 415, title: 'The media type of the file was not declared' },
  media_type_unsupported: { status: 415, title: 'This media type is not accepted' },
  media_type_mismatched: { status: 415, title: 'The file is not of the type that was declared' },
  // The bytes as an image
  image_corrupt: { status: 422, title: 'The image cannot be decoded' },
  image_truncated: { status: 422, title: 'The image ends too early' },
  image_pixels_exceeded: { status: 422, title: 'The image has too many pixels' },
  image_frames_exceeded: { status: 422, title: 'The image has too many frames' },
  image_too_costly: { status: 422, title: 'The image takes too much time or memory to decode' },
  // Who asks
  token_missing: { status: 401, title: 'Authentication is required' },
  token_invalid: { status: 401, title: 'The token is not valid' },
  access_forbidden: { status: 403, title: 'The token does not allow this' },
  credentials_invalid: { status: 401, title: 'The credentials are not valid' },
  signature_invalid: { status: 401, title: 'The signature of the event is not valid' },
  rate_exceeded: { status: 429, title: 'The token has sent too many requests' },
  owned_by_organization: { status: 403, title: 'What belongs to the organization cannot be changed here' },
  // What is asked for
  route_unknown: { status: 404, title: 'There is nothing at this address' },
  method_not_allowed: { status: 405, title: 'This address does not accept this method' },
  product_unknown: { status: 404, title: 'The product does not exist' },
  file_unknown: { status: 404, title: 'The file does not exist' },
  image_unknown: { status: 404, title: 'The image does not exist' },
  store_unknown: { status: 404, title: 'The store view does not exist' },
  attribute_unknown: { status: 404, title: 'The attribute does not exist' },
  channel_unknown: { status: 404, title: 'The channel does not exist' },
  hierarchy_unknown: { status: 404, title: 'The hierarchy does not exist' },
  node_unknown: { status: 404, title: 'The node does not exist' },
  import_unknown: { status: 404, title: 'The import does not exist' },
  ingest_unknown: { status: 404, title: 'The ingest does not exist' },
  hook_source_unknown: { status: 404, title: 'The source of events does not exist' },
  webhook_unknown: { status: 404, title: 'The webhook does not exist' },
  webhook_delivery_unknown: { status: 404, title: 'The delivery does not exist' },
  hook_event_unknown: { status: 404, title: 'The event does not exist' },
  range_unsatisfiable: { status: 416, title: 'The range lies outside the file' },
  // Conflicts
  sku_taken: { status: 409, title: 'Another product has this SKU' },
  write_conflicted: { status: 409, title: 'The product is being changed by others' },
  main_image_changed: { status: 409, title: 'Another main image was set in the meantime' },
  version_mismatched: { status: 412, title: 'The images have changed since they were read' },
  version_required: { status: 428, title: 'The version that is to be replaced must be named' },
  order_incomplete: { status: 422, title: 'The order must name every image of the product once' },
  role_unknown: { status: 422, title: 'The role does not exist' },
  images_unsupported: { status: 422, title: 'The product does not take images' },
  images_exceeded: { status: 422, title: 'The product has too many images' },
  nodes_missing: { status: 422, title: 'Not all of the nodes exist in the hierarchy' },
  node_name_taken: { status: 422, title: 'Another node beside it has this name' },
  node_slug_taken: { status: 422, title: 'Another node beside it has this slug' },
  node_too_deep: { status: 422, title: 'The hierarchy has too many levels' },
  node_cyclic: { status: 422, title: 'A node cannot lie below itself' },
  idempotency_key_invalid: { status: 400, title: 'The Idempotency-Key is not valid' },
  idempotency_key_in_flight: { status: 409, title: 'A request with this Idempotency-Key is still being answered' },
  idempotency_key_reused: { status: 422, title: 'The Idempotency-Key was used for another request' },
  event_id_reused: { status: 409, title: 'The id of the event was used for another event' },
  event_unmappable: { status: 422, title: 'The event does not say all that its mapping asks for' },
  webhooks_exceeded: { status: 422, title: 'There are too many webhooks' },
  webhook_rotations_exceeded: { status: 422, title: 'The webhook was rotated too often in a short time' },
  hook_sources_exceeded: { status: 422, title: 'There are too many sources of events' },
  import_busy: { status: 409, title: 'The import is in a state in which it does not take this' },
  import_rows_exceeded: { status: 413, title: 'The import has too many rows' },
  imports_exceeded: { status: 422, title: 'There are too many imports that are not over' },
  plan_outdated: { status: 412, title: 'The plan was made against a state that has changed since' },
  row_invalid: { status: 422, title: 'The row of the import is not valid' },
  row_conflicted: { status: 422, title: 'Another row of the import says otherwise' },
  park_expired: { status: 422, title: 'The product did not appear in time' },
  ingest_not_replayable: { status: 409, title: 'The ingest cannot be replayed' },
  ingest_bytes_gone: { status: 410, title: 'The bytes of the ingest are not kept any more' },
  // Ours, or the network's
  source_unavailable: { status: 502, title: 'The server of the file cannot be reached at the moment' },
  bytes_damaged: { status: 500, title: 'Stored bytes differ from those that were received' },
  decoder_died: { status: 500, title: 'The process that decoded the image died' },
  attempts_exhausted: { status: 500, title: 'The ingest was given up after repeated failures' },
  storage_full: { status: 507, title: 'There is no room to store the file' },
  tenant_busy: { status: 429, title: 'Too much of yours is waiting to be done; try again later' },
  service_busy: { status: 503, title: 'Too much is waiting to be done; try again later' },
  service_unavailable: { status: 503, title: 'A service that is needed is not available' },
  internal_error: { status: 500, title: 'Something went wrong on our side' },
} as const satisfies Record<string, { status: number; title: string }>

export type ErrorCode = keyof typeof ERRORS

/** Structured additions to an error: the field at fault, the limit that was exceeded, the current version. */
export type ErrorDetails = Readonly<Record<string, unknown>>

/** The one error of the product. `message` is for the caller; `cause` is for the log. */
export class SluiceError extends Error {
  override readonly name = 'SluiceError'
  readonly code: ErrorCode
  readonly details: ErrorDetails

  constructor(code: ErrorCode, message?: string, options: { details?: ErrorDetails; cause?: unknown } = {}) {
    super(message ?? ERRORS[code].title, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.details = options.details ?? {}
  }

  get status(): number {
    return ERRORS[this.code].status
  }

  static is(error: unknown, code?: ErrorCode): error is SluiceError {
    return error instanceof SluiceError && (code === undefined || error.code === code)
  }
}

/** What a rejection or a failure leaves behind on an ingest: enough to tell the caller, nothing for the log. */
export interface Problem {
  readonly code: ErrorCode
  readonly detail: string
  readonly details?: ErrorDetails
}

/** True when the request or its bytes are at fault: it is answered as it is, and nothing was written. What came too fast did no wrong. */
export function isRefusal(error: unknown): error is SluiceError {
  return SluiceError.is(error) && error.status < 500 && error.status !== 429
}

/** True when waiting may help: a store, queue or database that cannot be reached, or that is full. */
export function isOutage(error: unknown): boolean {
  return SluiceError.is(error, 'service_unavailable') || SluiceError.is(error, 'storage_full')
}
