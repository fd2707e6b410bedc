/** What an attribute asks of its files. */
import { type Attribute, MEDIA_TYPES } from '@sluice/core'
import type { ArrivedFile } from './arrived-file.ts'

/** In Akeneo's words, and in ours where it has none; empty when the file is good. */
export function complaintsOf(attribute: Attribute, file: ArrivedFile): readonly string[] {
  // An attribute may allow what is no image; we do not.
  const ofContent = 'fault' in file.content ? file.content.fault.message : null
  const complaints = [complaintOfType(attribute, file) ?? ofContent, complaintOfSize(attribute, file)]
  return complaints.filter((complaint) => complaint !== null)
}

/** The extension first; the content is asked for what the extension promises, and only where the attribute names extensions. */
function complaintOfType({ code, allowedExtensions }: Attribute, { extension, mediaType }: ArrivedFile): string | null {
  if (!allowedExtensions) return null
  if (!allowedExtensions.includes(extension)) {
    const list = allowedExtensions.join(', ')
    return `The ${extension} file extension is not allowed for the ${code} attribute. Allowed extensions are ${list}.`
  }
  const promised = TYPE_OF[extension]
  if (promised === undefined || promised === mediaType) return null
  return `The MIME type is not allowed for ${extension} (allowed types: ${promised}, found ${mediaType}).`
}

const TYPE_OF: Readonly<Record<string, string | undefined>> = {
  ...Object.fromEntries(Object.entries(MEDIA_TYPES).map(([type, { extension }]) => [extension, type])),
  jpeg: 'image/jpeg',
}

function complaintOfSize({ fileBytesMax }: Attribute, { bytes }: ArrivedFile): string | null {
  if (fileBytesMax === null || bytes <= fileBytesMax) return null
  const [size, max] = inOneUnit(bytes, fileBytesMax)
  return `The file is too large (${size}). Allowed maximum size is ${max}.`
}

const UNITS = [
  [1_000_000, 'MB'],
  [1_000, 'kB'],
  [1, 'bytes'],
] as const

/** As Symfony writes them: in the largest unit in which the bound needs no more than two decimals and the two differ. */
function inOneUnit(bytes: number, bytesMax: number): readonly [string, string] {
  const [factor, unit] = UNITS.find(([one]) => isShort(bytesMax / one) && rounded(bytes / one) !== bytesMax / one) ?? [1, 'bytes']
  return [`${rounded(bytes / factor)} ${unit}`, `${rounded(bytesMax / factor)} ${unit}`]
}

function isShort(size: number): boolean {
  return rounded(size) === size
}

function rounded(size: number): number {
  return Math.round(size * 100) / 100
}
