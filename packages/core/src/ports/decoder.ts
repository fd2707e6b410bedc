/** Looks at an image, in a process that may die of it. */
import type { Facts } from '../file.ts'

/** What one full decode tells. `exif` is complete: what may be kept of it is policy. */
export interface Inspection extends Omit<Facts, 'bytes' | 'digest' | 'thumbnail'> {
  readonly thumbnail: { readonly data: Uint8Array; readonly width: number; readonly height: number }
}

export interface Decoder {
  /** The media type that the first bytes show (4100 are enough), accepted or not; null when they show none. */
  sniff(head: Uint8Array): Promise<string | null>
  /**
   * Decodes every frame once, in a process of its own, under the limits. Throws `media_type_unsupported`, `image_corrupt`,
   * `image_truncated`, `image_pixels_exceeded`, `image_frames_exceeded`, `image_too_costly` for the image's faults, and
   * `service_unavailable` when the signal is aborted before its turn has come.
   */
  inspect(path: string, signal: AbortSignal): Promise<Inspection>
}
