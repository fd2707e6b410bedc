/** Whatever bytes come, in whatever pieces: a body is read, or refused as the fault of its sender; nothing else is thrown or changed. */
import * as fc from 'fast-check'
import { afterEach, describe, expect, it } from 'vitest'
import { DEFAULT_LIMITS, ERRORS, SluiceError } from '@sluice/core'
import { csvLines, jsonLines } from '../native/import-lines.ts'
import type { FormProfile } from './read-upload.ts'
import { cutInto, read } from './testing.ts'

const LENIENT = { whitespace: 'allow', padding: 'optional' } as const

const FORM: FormProfile = {
  filePart: 'file',
  raw: true,
  base64: { path: ['file', 'base64'], policy: LENIENT },
  xml: { path: ['file'], item: 'item', policy: LENIENT },
  query: { name: 'file', policy: LENIENT },
}

/** What each kind of body is made of, and what its readers look for. */
const KINDS: Record<string, { readonly type: string; readonly words: readonly string[] }> = {
  JSON: {
    type: 'application/json',
    words: [
      '{',
      '}',
      '[',
      ']',
      ':',
      ',',
      '"',
      '"file"',
      '"base64"',
      '{"file":{"base64":"',
      'QUJD',
      '\\',
      '\\u0041',
      '\\/',
      '1e9',
      'null',
    ],
  },
  XML: {
    type: 'text/xml',
    words: [
      '<a>',
      '</a>',
      '<file>',
      '</file>',
      '<item>',
      '</item>',
      '<__proto__>',
      '</__proto__>',
      '<a b="',
      '"/>',
      '<![CDATA[',
      ']]>',
    ],
  },
  'XML of markup': {
    type: 'application/xml',
    words: [
      '<?xml version="1.0"?>',
      '<!--',
      '-->',
      '<!DOCTYPE',
      '<?',
      '?>',
      '&#13;',
      '&#x41;',
      '&amp;',
      '&',
      ';',
      '<a>',
      '</a>',
      'QUJD',
      '\r',
    ],
  },
  query: {
    type: 'text/plain',
    words: ['file=', 'QUJD', '&', '=', '%', '%41', '%FF', '+', 'a[]=', 'a[0]=', '__proto__=', 'toString[]='],
  },
  multipart: {
    type: 'multipart/form-data; boundary=b',
    words: [
      '--b\r\n',
      '\r\n--b',
      '\r\n--b--',
      '\r\n\r\n',
      '\r\n',
      '\n',
      'Content-Disposition: form-data; name="file"; filename="a"',
      'Content-Disposition: form-data; name="__proto__"',
      "Content-Disposition: form-data; name*=UTF-8''%ff",
      'Content-Type: text/plain; charset=utf-7',
      'Content-Transfer-Encoding: base64',
      '__proto__: x\r\n',
    ],
  },
  raw: { type: 'image/png', words: ['\x89PNG', '\0'] },
}

const SENDERS_FAULTS: ReadonlySet<string> = new Set(
  Object.entries(ERRORS).flatMap(([code, { status }]) => (status < 500 ? [code] : [])),
)

const bodyOf = (words: readonly string[]) =>
  fc
    .array(
      fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...words) }, fc.uint8Array({ maxLength: 6 }), fc.string({ maxLength: 4 })),
      {
        maxLength: 40,
      },
    )
    .map((pieces) => Buffer.concat(pieces.map((piece) => Buffer.from(piece as string))))

const prototypeOf = () => Object.getOwnPropertyNames(Object.prototype).toSorted()
const before = prototypeOf()
afterEach(() => expect(prototypeOf()).toEqual(before))

describe.each(Object.entries(KINDS))('a body of %s', (_, { type, words }) => {
  it('is read or refused, however it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(bodyOf(words), fc.integer({ min: 1, max: 30 }), async (bytes, pieceBytes) => {
        const whole = await read(cutInto(bytes, 1 << 16), { 'content-type': type }, { form: FORM })
        const cut = await read(cutInto(bytes, pieceBytes), { 'content-type': type }, { form: FORM })
        // Of several faults another may be met first; what is said does not depend on the cut.
        expect([cut.code === null, cut.body?.fields, cut.body?.staged?.content]).toEqual([
          whole.code === null,
          whole.body?.fields,
          whole.body?.staged?.content,
        ])
        const codes = [whole.code, cut.code].filter((code) => code !== null)
        expect(codes.filter((code) => !SENDERS_FAULTS.has(code))).toEqual([])
        expect(Object.getPrototypeOf(whole.body?.fields ?? {})).toBe(Object.prototype)
      }),
      { numRuns: 400 },
    )
  })
})

describe.each([
  ['JSON Lines', jsonLines, ['{"a":', '}', '"', '\n', '\r\n', '\\', '[', ']', '{"sku":"a"}\n']],
  ['CSV', csvLines, ['sku,url\n', 'a,b\n', '"', '""', ',', '\r\n', '\r', '\ufeff', '__proto__,a\n', '\n']],
] as const)('rows as %s', (_, lines, words) => {
  it('are read or refused, and their lines counted, however they are cut', async () => {
    const bounds = { ...DEFAULT_LIMITS, importRowBytesMax: 64 }
    async function readAll(bytes: Uint8Array, pieceBytes: number): Promise<readonly unknown[] | string> {
      async function* pieces() {
        for (const piece of cutInto(bytes, pieceBytes)) yield Buffer.from(piece)
      }
      try {
        return await Array.fromAsync(lines(pieces(), 1, bounds))
      } catch (error) {
        if (!SluiceError.is(error, 'csv_invalid')) throw error
        return error.code
      }
    }
    await fc.assert(
      fc.asyncProperty(bodyOf(words), fc.integer({ min: 1, max: 30 }), async (bytes, pieceBytes) => {
        expect(await readAll(bytes, pieceBytes)).toEqual(await readAll(bytes, 1 << 16))
      }),
      { numRuns: 400 },
    )
  })
})
