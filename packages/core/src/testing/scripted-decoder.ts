import { readFile } from 'node:fs/promises'
import { SluiceError } from '../errors.ts'
import { isMediaType, type MediaType } from '../file.ts'
import type { Decoder, Inspection } from '../ports.ts'

/** The first bytes of real files, up to where their own fields would begin. */
const HEADS: Readonly<Record<MediaType, string>> = {
  'image/jpeg': '\xff\xd8\xff\xe0',
  'image/png': '\x89PNG\r\n\x1a\n',
  'image/webp': 'RIFF\0\0\0\0WEBP',
  'image/gif': 'GIF89a',
  'image/avif': '\0\0\0\x1cftypavif',
}

/** Where each type shows itself. The last one is known and not accepted. */
const SIGNS: readonly (readonly [mediaType: string, offset: number, sign: string])[] = [
  ['image/jpeg', 0, '\xff\xd8\xff'],
  ['image/png', 0, HEADS['image/png']],
  ['image/webp', 8, 'WEBP'],
  ['image/gif', 0, 'GIF8'],
  ['image/avif', 4, 'ftypavif'],
  ['application/pdf', 0, '%PDF-'],
]

/** What looks like an image of this type to a scripted decoder; `subject` tells it from others. */
export function imageBytes(subject: string, mediaType: MediaType = 'image/jpeg'): Uint8Array {
  return Buffer.concat([Buffer.from(HEADS[mediaType], 'latin1'), Buffer.from(subject)])
}

/** What is seen, by the subject that `imageBytes` was given: some of the facts, or an error that is thrown. */
export type DecoderScript = Readonly<Record<string, Partial<Inspection> | Error>>

/** Recognises the five types by their real first bytes and sees in them what the script says, or a plain small image. */
export function scriptedDecoder(script: DecoderScript = {}): Decoder {
  const sniff = (text: string) => SIGNS.find(([, offset, sign]) => text.startsWith(sign, offset))?.[0] ?? null

  return {
    sniff: async (head) => sniff(Buffer.from(head).toString('latin1')),
    async inspect(path, signal) {
      signal.throwIfAborted()
      const bytes = await readFile(path)
      const mediaType = sniff(bytes.toString('latin1'))
      if (mediaType === null || !isMediaType(mediaType)) throw new SluiceError('media_type_unsupported')
      const seen = script[bytes.subarray(HEADS[mediaType].length).toString()] ?? {}
      if (seen instanceof Error) throw seen
      return { ...PLAIN, mediaType, ...seen }
    },
  }
}

const PLAIN: Omit<Inspection, 'mediaType'> = {
  width: 40,
  height: 30,
  orientation: 1,
  mode: 'RGB',
  alpha: false,
  frames: 1,
  density: null,
  iccName: null,
  exif: null,
  dominantColour: '#102030',
  thumbhash: 'AAAA',
  thumbnail: { data: Buffer.from('thumbnail'), width: 40, height: 30 },
  warnings: [],
}
