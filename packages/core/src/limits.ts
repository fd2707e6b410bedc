/** Every bound of the system in one table, with its default and its reason. Sizes in bytes, times in milliseconds. */
export const DEFAULT_LIMITS = {
  /** One file. 50 MiB holds a 100 MP JPEG of good quality. */
  fileBytesMax: 50 * 1024 * 1024,
  /** Pixels of one image, all frames together: what a decode may cost. */
  pixelsMax: 100_000_000,
  /** Frames of an animation. */
  framesMax: 500,
  /** Wall time of one decode; the decoder is killed when it passes. */
  decodeMsMax: 30_000,
  /** Resident memory of one decoder process; it ends itself when it passes. */
  decodeMemoryBytesMax: 1024 * 1024 * 1024,
  /** The longer side of the thumbnail, in pixels. */
  thumbnailPixels: 320,
  /** Raw EXIF that is parsed; longer blocks are ignored, not refused. */
  exifBytesMax: 256 * 1024,

  /** A request without its file: JSON around the base64, or all form fields together. */
  envelopeBytesMax: 256 * 1024,
  /** Form fields of one multipart body. */
  formFieldsMax: 32,
  /** Connections of one server: each may hold some 100 KB while a body arrives, and a file descriptor. */
  connectionsMax: 4_096,
  /** A request from its first byte to its last, and one second more for each so many bytes of its body that have come: 128 kbit/s. */
  requestMsMax: 300_000,
  bodyBytesPerSecondMin: 16 * 1024,
  /**
   * Requests of one token that one intake lets through: so many at once after a silence, and so many in each second that follows. An
   * import is let through as fast as an intake can take it; what this stops is a client that has gone wild.
   */
  tokenRequestsPerSecond: 1_000,
  tokenRequestsBurst: 5_000,
  /** Requests of one token that are being answered at the same time: a quarter of the connections, so that others find some. */
  tokenRequestsAtOnceMax: 1_024,

  skuLengthMax: 255,
  /** Codes of attributes, channels, locales, store views and websites. */
  codeLengthMax: 100,
  websitesMax: 100,
  titleLengthMax: 255,
  /** Characters of an image name without its suffix. */
  nameLengthMax: 100,
  /** Characters of the file name that the uploader gave. */
  fileNameLengthMax: 255,
  labelLengthMax: 1024,
  rolesMax: 16,
  imagesPerProductMax: 10_000,
  /** A sort key, either way from zero: it leaves room to count on from the last. */
  positionMax: 1_000_000_000,
  /** Levels of a hierarchy: each node is told with all that lies above it. */
  nodeDepthMax: 100,
  /** Ids in one request that changes relations. */
  relationsMax: 100,
  idempotencyKeyLengthMax: 255,
  /** How long an answer is kept for a repeated Idempotency-Key. */
  idempotencyMsMax: 24 * 60 * 60 * 1000,
  /** How long a request may hold an Idempotency-Key without having answered. */
  idempotencyLeaseMs: 330_000,
  pageItemsMax: 100,

  /** `Prefer: wait=N` is capped here. */
  waitMsMax: 60_000,
  /** A dialect's request waits this long for its result; the client may come back for it. */
  answerMsMax: 30_000,
  /** How long an ingest belongs to a request that does not renew it: after that, an equal request gets its answer. */
  answerLeaseMs: 10_000,
  /** An equal request that comes later than this after the first asks for something new. */
  answerClaimMsMax: 60 * 60 * 1000,
  /** Access tokens that are issued for a client's credentials, and the refresh tokens beside them. */
  accessTokenMsMax: 60 * 60 * 1000,
  refreshTokenMsMax: 14 * 24 * 60 * 60 * 1000,
  /** OAuth 1.0a: how far a timestamp may be from our clock, either way. */
  oauthSkewMsMax: 600_000,
  /** Fetching a file from a given address, redirects and all. */
  fetchMsMax: 30_000,
  fetchRedirectsMax: 3,
  /** An address in a request: what browsers and proxies agree to carry. */
  urlLengthMax: 2_048,
  /** Fetches of one worker from one host at a time: what a browser of old allowed itself, and no server takes for an attack. */
  fetchPerHostMax: 4,
  /** The first wait for a server that is away, doubled each time up to the second; its own `Retry-After` is kept up to that too. */
  sourceRetryMsMin: 5_000,
  sourceRetryMsMax: 120_000,
  /** How long it is remembered what a URL showed, so that it is not fetched again while it is the same. */
  urlSourcesKeptMs: 30 * 24 * 60 * 60 * 1000,
  /** Server-sent events of one ingest end here at the latest. */
  eventsMsMax: 300_000,

  /** Starts of one ingest that ended in a crash or an unknown error before it is given up. Outages do not count. */
  attemptsMax: 5,
  /** One run through the pipeline. */
  ingestMsMax: 120_000,
  /** The first wait after an error, doubled each time up to the second. */
  retryMsMin: 500,
  retryMsMax: 30_000,
  /** The wait when a store, queue or database is out of reach: short, so that work goes on soon after it is back. */
  outageWaitMs: 3_000,

  /**
   * Jobs that wait in the queue, in each lane: the rest waits in the outbox, where turns are taken between tenants. What is in the
   * queue already goes before a tenant that comes later, so a worker feeds it only up to two for each that it runs at a time, or up
   * to this if that is less.
   */
  queueDepthMax: 32,
  /**
   * Imported jobs go to the queue while so many come back to it later: during an outage, all that ran. Interactive ones do until it
   * is five times as many, so that an import that waits for one slow server does not hold them up.
   */
  queueDelayedMax: 1_000,
  /**
   * A worker that renews its lock of a job later than this is taken for dead, and the job runs elsewhere. Decoding happens in other
   * processes, so that no work of ours blocks the event loop for long.
   */
  jobLockMs: 30_000,
  /** How often jobs whose lock has run out are looked for. */
  jobStalledCheckMs: 15_000,
  /** Outbox rows taken by one turn of the relay. */
  relayBatchMax: 200,
  /** A relay that took rows and died gives them up after this time. */
  relayLeaseMs: 10_000,
  /** The relay looks for rows this often even when nobody woke it. */
  relayIdleMs: 1_000,
  /** An ingest that nobody has touched for this long is queued again. Longer than `ingestMsMax`. */
  reconcileAfterMs: 180_000,
  reconcileBatchMax: 500,
  /** Staged bytes that belong to no waiting ingest are removed after this time. */
  stagedMsMax: 24 * 60 * 60 * 1000,
  /** Bytes of a failed ingest are kept for a replay so long: the weekend that an operator was away. */
  failedBytesMsMax: 7 * 24 * 60 * 60 * 1000,
  /** Failed ingests that one request replays: for each, staging is asked whether its bytes are there. */
  replayMax: 1_000,
  /** An image waits at most this long for its product. */
  parkMsMax: 7 * 24 * 60 * 60 * 1000,
  /** Uploads are turned away while so many ingests are received or running: hours of work for a small installation. */
  ingestsWaitingMax: 200_000,
  /** Uploads are turned away while so many bytes are staged for ingests; below what the disk holds, so that others can write. */
  stagedBytesMax: 100 * 1024 * 1024 * 1024,
  /** What one tenant may have of both, so that it does not turn away all others. */
  tenantIngestsWaitingMax: 100_000,
  tenantStagedBytesMax: 50 * 1024 * 1024 * 1024,
  /** How old the measure of all of them may be. */
  loadMsMax: 1_000,
  /** Uploads that one intake takes in at the same time, and how many of them from one tenant: each holds buffers and a file. */
  uploadsAtOnceMax: 256,
  tenantUploadsAtOnceMax: 192,
  sweepBatchMax: 1_000,
  /** Rows and objects that an examination reads at a time. */
  examinePageItems: 1_000,
  /** Whoever has begun to remove a blob removes its objects within this time, or leaves it to others, who come after the second. */
  removalMsMax: 15_000,
  removalTakeoverMs: 120_000,
  /** It is remembered so long that a blob was removed: longer than any run lives that believed it to be there. */
  removalsKeptMs: 24 * 60 * 60 * 1000,
  /** How often the reconciler and the sweeper look. */
  upkeepEveryMs: 30_000,

  /** One event of a webhook. The largest that senders make are far below: Shopify's and Akeneo's are some 100 KB. */
  hookBodyBytesMax: 1024 * 1024,
  /** How far a signed time may be from our clock, either way: the tolerance of Standard Webhooks. */
  hookSkewMsMax: 300_000,
  /** Events are kept for so long, and the same one is known again; far longer than any sender repeats it. */
  hookEventsKeptMs: 30 * 24 * 60 * 60 * 1000,
  hookSourcesMax: 100,
  /** Events of one source that are not processed yet: more are turned away, and their sender repeats them. */
  hookEventsWaitingMax: 10_000,
  /** Secrets of one source that are valid at the same time. */
  hookSecretsMax: 5,
  /** Items in one event. */
  hookItemsMax: 500,
  /** Headers of an event that are kept for its mapping. */
  hookHeadersMax: 32,
  hookHeaderLengthMax: 1024,
  /** Events taken by one turn of a worker, and how long they are its own. */
  inboxBatchMax: 20,
  inboxLeaseMs: 120_000,
  /** Workers look for events this often even when nobody woke them. */
  inboxIdleMs: 1_000,
  /** Starts of one event that ended in a crash or an unknown error. */
  inboxAttemptsMax: 5,
  /** Events that one request receives again. */
  redriveMax: 10_000,

  /** Rows of one import, over all its pages. */
  importRowsMax: 1_000_000,
  /** One row as text, its base64 in it: larger files come by themselves first. */
  importRowBytesMax: 2 * 1024 * 1024,
  /** Rows that are read before they are written: one statement, and no more than this in memory. */
  importRowsBatch: 500,
  /** Rows in one answer: a plan of a million of them is read in a thousand. */
  importPageRowsMax: 1_000,
  /** Faults of rows that are told at once. */
  importErrorsTold: 100,
  /** Imports of a tenant that are not over. */
  importsOpenMax: 1_000,
  /** An import that was never applied is forgotten after this time, and with it what was staged for its rows. */
  importIdleMsMax: 7 * 24 * 60 * 60 * 1000,
  /** One that is over is kept for so long, and can be undone. */
  importKeptMs: 90 * 24 * 60 * 60 * 1000,
  /** The longest that rows wait for their product: thirty days. */
  importParkMsMax: 30 * 24 * 60 * 60 * 1000,
  /** Rows of one import that are under way in the pipeline: enough to keep workers busy, few enough to stop soon. */
  importInFlightMax: 200,
  /** Products that one turn of a worker begins, and how long an import is its own. */
  importBatchProducts: 50,
  importLeaseMs: 30_000,
  /** Workers look after imports this often. */
  importIdleMs: 250,
  /** Digests in one question. */
  digestsMax: 1_000,

  /** How long a reservation waits for its bytes; the sweeper must not come before. */
  uploadMsMax: 12 * 60 * 60 * 1000,
  /** Reservations of a tenant that are not settled, and their bytes together: what they may come to hold in staging. */
  uploadsOpenMax: 1_000,
  uploadsOpenBytesMax: 10 * 1024 * 1024 * 1024,
  /** What a killed intake may lose of a resumable upload; a file up to this size that comes at once is one part, and is not copied again. */
  uploadPartBytesMax: 8 * 1024 * 1024,
  /** Parts of one upload: each is an object of its own. */
  uploadPartsMax: 1_000,
  /** How often a reservation is looked after that nobody tells of, and how many at a time. */
  uploadLookMs: 15_000,
  uploadBatchMax: 200,
  /** How long it can be asked what became of an upload. */
  uploadsKeptMs: 7 * 24 * 60 * 60 * 1000,

  webhooksMax: 100,
  webhookUrlLengthMax: 2_048,
  /** The old secret stays valid so long after a rotation: a day to deploy the new one. */
  webhookRotationMsMax: 24 * 60 * 60 * 1000,
  /** Secrets of one webhook that are valid at the same time. */
  webhookSecretsMax: 5,
  /** One attempt, from the look-up of the name to the end of the answer: Standard Webhooks asks for 15 to 30 seconds. */
  webhookSendMsMax: 15_000,
  /** A delivery belongs to its worker so long. Longer than `webhookSendMsMax`. */
  webhookLeaseMs: 60_000,
  /** Of an answer, what is kept for the log. */
  webhookResponseBytesMax: 4 * 1024,
  /** Deliveries that one worker has under way, and how many of them to one endpoint. */
  webhookSendsMax: 128,
  webhookSendsPerEndpointMax: 4,
  /** No wait between two attempts is longer; the longest that is published is ten hours. */
  webhookRetryMsMax: 36_000_000,
  /** How much of a `Retry-After` is believed. */
  webhookRetryAfterMsMax: 36_000_000,
  /** After so many failures in a row an endpoint is left alone for the first pause, doubled with each more up to the second. */
  webhookFailuresMax: 5,
  webhookPauseMsMin: 5_000,
  webhookPauseMsMax: 300_000,
  /** An endpoint that has only failed for so long is disabled: longer than all attempts of one delivery take. */
  webhookFailingMsMax: 5 * 24 * 60 * 60 * 1000,
  /** Workers look for deliveries this often even when nobody woke them. */
  webhookIdleMs: 1_000,
  /** Deliveries that one request sends again. */
  webhookRedeliverMax: 10_000,
  webhookDeliveriesKeptMs: 30 * 24 * 60 * 60 * 1000,

  /** After SIGTERM: what runs may finish within this time. */
  shutdownMsMax: 25_000,
} as const satisfies Record<string, number>

export type Limits = { readonly [name in keyof typeof DEFAULT_LIMITS]: number }

/** What a request with the largest file, as base64, may take when it is as slow as it may be. */
export function longestRequestMs({ requestMsMax, bodyBytesPerSecondMin, fileBytesMax, envelopeBytesMax }: Limits): number {
  return Math.ceil(requestMsMax + (((4 / 3) * fileBytesMax + envelopeBytesMax) / bodyBytesPerSecondMin) * 1_000)
}

/** "50 MiB", "1.5 GiB": sizes in messages. */
export function humanBytes(bytes: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  const power = bytes < 1024 ? 0 : Math.min(Math.floor(Math.log2(bytes) / 10), units.length - 1)
  const size = bytes / 1024 ** power
  return `${Number.isInteger(size) ? size : size.toFixed(1)} ${units[power]}`
}
