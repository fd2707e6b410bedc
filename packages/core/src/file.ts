import { createHash } from 'node:crypto'
import type { Digest, FileId, TenantId } from './ids.ts'

/** The types that are accepted: by content, whatever was declared. `format` is the word of Pillow's `Image.format`. */
export const MEDIA_TYPES = {
  'image/jpeg': { extension: 'jpg', format: 'JPEG' },
  'image/png': { extension: 'png', format: 'PNG' },
  'image/webp': { extension: 'webp', format: 'WEBP' },
  'image/gif': { extension: 'gif', format: 'GIF' },
  'image/avif': { extension: 'avif', format: 'AVIF' },
} as const

export type MediaType = keyof typeof MEDIA_TYPES

export const ACCEPTED_TYPES = Object.keys(MEDIA_TYPES).join(', ')

export function isMediaType(text: string): text is MediaType {
  return Object.hasOwn(MEDIA_TYPES, text)
}

/** A Content-Type header as the media type it names: without parameters, lower case, `image/jpg` as what it means. */
export function essenceOf(contentType: string | null | undefined): string | null {
  const essence = contentType?.split(';', 1)[0]?.trim().toLowerCase()
  if (!essence) return null
  return essence === 'image/jpg' || essence === 'image/pjpeg' ? 'image/jpeg' : essence
}

/** Pillow's `Image.mode`. */
export type ColourMode = '1' | 'L' | 'LA' | 'P' | 'RGB' | 'RGBA' | 'CMYK' | 'I;16'

/** The eight values of the EXIF orientation tag. */
export type Orientation = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8

/** What is known of a blob. Sizes are as displayed, that is, after the EXIF orientation. */
export interface Facts {
  readonly mediaType: MediaType
  readonly bytes: number
  readonly digest: Digest
  readonly width: number
  readonly height: number
  readonly orientation: Orientation
  readonly mode: ColourMode
  readonly alpha: boolean
  readonly frames: number
  /** Pixels per inch, if the file says. */
  readonly density: number | null
  /** The description inside the ICC profile, if there is one. */
  readonly iccName: string | null
  readonly exif: Exif | null
  /** `#rrggbb` */
  readonly dominantColour: string
  /** Base64 of the ThumbHash: about 25 bytes that draw a blurred placeholder. */
  readonly thumbhash: string
  readonly thumbnail: { readonly width: number; readonly height: number; readonly bytes: number }
  /** What the decoder complained of without giving up. */
  readonly warnings: readonly string[]
}

/** EXIF as groups of tags (`Image`, `Photo`, `GPSInfo`, …) with JSON values. */
export type Exif = Readonly<Record<string, Readonly<Record<string, unknown>>>>

/** A blob under a public identity. Several files may share one blob. */
export interface File {
  readonly id: FileId
  /** The integer identity for dialects whose clients know only integers. */
  readonly number: number
  readonly tenantId: TenantId
  /** The identity for dialects whose clients know files by a path; unique per tenant. */
  readonly code: string
  /** The name that the uploader's file had, made safe to show; null if there was none. */
  readonly name: string | null
  readonly facts: Facts
  readonly createdAt: Date
}

/**
 * `a/b/c/d/abcd…_name.jpg`: a path that spreads over folders and tells the name. Akeneo's rule (docs/dialects/akeneo.md),
 * with the file's id where that system hashes the time.
 */
export function fileCode(id: FileId, name: string | null): string {
  const hash = createHash('sha1').update(id).digest('hex')
  const extension = /[^.]\.([A-Za-z0-9]{1,10})$/.exec(name ?? '')?.[1]
  const safe = (name ?? 'image').replace(/[^A-Za-z0-9.]/g, '_')
  const short = safe.length <= CODE_NAME_MAX ? safe : `${safe.slice(0, 95)}${extension ? `.${extension}` : ''}`
  return `${Array.from(hash.slice(0, 4)).join('/')}/${hash}_${short}`
}

const CODE_NAME_MAX = 100

/** Where the verified bytes rest. The key begins with the tenant: a digest that leaks opens nobody else's blob. */
export function blobKey(tenantId: TenantId, digest: Digest): string {
  return `${tenantId}/${digest.slice(0, 2)}/${digest}`
}

const BLOB_KEY = /^([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\/([0-9a-f]{2})\/(\2[0-9a-f]{62})(\.thumbnail)?$/

/** What a key names, if it is one of ours. */
export function blobOfKey(key: string): { tenantId: TenantId; digest: Digest; isThumbnail: boolean } | null {
  const [, tenantId, , digest, suffix] = BLOB_KEY.exec(key) ?? []
  if (tenantId === undefined || digest === undefined) return null
  return { tenantId: tenantId as TenantId, digest: digest as Digest, isThumbnail: suffix !== undefined }
}

export function thumbnailKey(tenantId: TenantId, digest: Digest): string {
  return `${blobKey(tenantId, digest)}.thumbnail`
}
