/** What is known, as it stands on the native wire. */
import {
  ERRORS,
  type File,
  type Ingest,
  type IntakeWorld,
  isMain,
  type Problem,
  type Product,
  type ProductImage,
  replayableUntil,
  shownUrl,
  type TimelineEntry,
  type Wait,
  whyNotReplayable,
} from '@sluice/core'

export const productPath = (productId: string) => `/v1/products/${productId}`
export const imagePath = (productId: string, imageId: string) => `${productPath(productId)}/images/${imageId}`
export const filePath = (fileId: string) => `/v1/files/${fileId}`
export const ingestPath = (ingestId: string) => `/v1/ingests/${ingestId}`

export function productView(product: Product) {
  const { id, number, sku, kind, title, status, owner, websites, acceptsImages, version } = product
  const self = productPath(id)
  return {
    id,
    number,
    sku,
    kind,
    title,
    status,
    owner,
    websites,
    accepts_images: acceptsImages,
    version,
    created_at: product.createdAt.toISOString(),
    updated_at: product.updatedAt.toISOString(),
    links: { self, images: `${self}/images` },
  }
}

export function fileView({ id, number, name, facts, createdAt }: File) {
  const { bytes, width, height, orientation, mode, alpha, frames, density, exif, thumbhash, warnings } = facts
  return {
    id,
    number,
    name,
    media_type: facts.mediaType,
    bytes,
    sha256: facts.digest,
    width,
    height,
    orientation,
    mode,
    alpha,
    frames,
    density,
    icc_name: facts.iccName,
    exif,
    dominant_colour: facts.dominantColour,
    thumbhash,
    warnings,
    thumbnail: { ...facts.thumbnail, url: `${filePath(id)}/thumbnail` },
    url: `${filePath(id)}/content`,
    created_at: createdAt.toISOString(),
  }
}

/** `rank` is the image's place in the order: what the native API calls its position. */
export function imageView(image: ProductImage, rank: number) {
  const { id, number, productId, name, label, excluded, roles, storeValues, file, createdAt, updatedAt } = image
  return {
    id,
    number,
    product_id: productId,
    name,
    position: rank,
    label,
    excluded,
    roles,
    main: isMain(image),
    stores: storeValues,
    file: fileView(file),
    created_at: createdAt.toISOString(),
    updated_at: updatedAt.toISOString(),
    links: { self: imagePath(productId, id), product: productPath(productId) },
  }
}

export function ingestView(ingest: Ingest) {
  const { id, state, lane, source, fetched, target, parking, attempts, result, problem } = ingest
  const self = ingestPath(id)
  return {
    id,
    state,
    lane,
    product_id: target?.productId ?? null,
    parked: parking && { sku: parking.sku, until: parking.until.toISOString() },
    file_name: source.kind === 'file' ? null : source.fileName,
    bytes: 'bytes' in source ? source.bytes : (fetched?.bytes ?? null),
    source_url: source.kind === 'url' ? shownUrl(source.url) : null,
    attempts,
    result: result && {
      file_id: result.fileId,
      file: filePath(result.fileId),
      image_id: result.imageId,
      image: result.imageId && target ? imagePath(target.productId, result.imageId) : null,
    },
    error: problem && problemView(problem),
    created_at: ingest.createdAt.toISOString(),
    updated_at: ingest.updatedAt.toISOString(),
    finished_at: ingest.finishedAt?.toISOString() ?? null,
    links: { self, events: `${self}/events` },
  }
}

/** Where somebody may want to replay it; what only the store knows is told by the replay itself. */
export function replayableView(ingest: Ingest, world: Pick<IntakeWorld, 'limits' | 'now'>) {
  const isDead = ingest.state === 'failed' || ingest.state === 'rejected'
  return { ...ingestView(ingest), replay: isDead ? replayView(ingest, world) : null }
}

function replayView(ingest: Ingest, world: Pick<IntakeWorld, 'limits' | 'now'>) {
  const refusal = whyNotReplayable(ingest, world)
  if (refusal) return { possible: false, until: null, ...refusal }
  return { possible: true, until: replayableUntil(ingest, world.limits)?.toISOString() ?? null, code: null, detail: null }
}

export function waitView({ reason, detail, until }: Wait) {
  return { reason, detail, until: until?.toISOString() ?? null }
}

export function timelineView({ at, step, attempt, outcome, durationMs, detail }: TimelineEntry) {
  return { at: at.toISOString(), step, attempt, outcome, duration_ms: durationMs, detail }
}

export function problemView({ code, detail, details }: Problem) {
  return { type: 'about:blank', ...ERRORS[code], detail, ...details, code }
}
