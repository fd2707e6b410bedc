import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SluiceError } from '@sluice/core'
import { Base64Decoder, type Base64Policy, STRICT_BASE64 } from './base64.ts'
import { cutInto } from './testing.ts'

const LENIENT: Base64Policy = { whitespace: 'allow', padding: 'optional' }

function decode(text: string, policy: Base64Policy = STRICT_BASE64, pieceBytes = text.length || 1): string {
  const decoder = new Base64Decoder(policy)
  const pieces = [...cutInto(Buffer.from(text, 'latin1'), pieceBytes)].map((piece) => decoder.write(piece))
  return Buffer.concat([...pieces, decoder.end()]).toString('latin1')
}

function faultOf(text: string, policy?: Base64Policy, pieceBytes?: number): { offset: unknown; message: string } {
  try {
    decode(text, policy, pieceBytes)
  } catch (error) {
    if (SluiceError.is(error, 'base64_invalid')) return { offset: error.details['offset'], message: error.message }
    throw error
  }
  throw new Error(`${JSON.stringify(text)} was accepted`)
}

function isAccepted(text: string, pieceBytes: number): boolean {
  try {
    decode(text, STRICT_BASE64, pieceBytes)
    return true
  } catch (error) {
    if (SluiceError.is(error, 'base64_invalid')) return false
    throw error
  }
}

describe('Base64Decoder', () => {
  it('gives back any bytes, however the text is cut', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.integer({ min: 1, max: 50 }), (bytes, pieceBytes) => {
        const text = Buffer.from(bytes).toString('base64')
        expect(decode(text, STRICT_BASE64, pieceBytes)).toBe(Buffer.from(bytes).toString('latin1'))
      }),
    )
  })

  it('accepts exactly the texts that an encoder makes', () => {
    const characters = fc.constantFrom(...'ABYZabyz0189+/=-_ \n!é'.split(''))
    fc.assert(
      fc.property(fc.string({ unit: characters, maxLength: 12 }), fc.integer({ min: 1, max: 5 }), (text, pieceBytes) => {
        const isCanonical = Buffer.from(text, 'base64').toString('base64') === text
        expect(isAccepted(text, pieceBytes)).toBe(isCanonical)
      }),
      { numRuns: 2000 },
    )
  })

  it.each([
    ['QUJD!UJD', 4, /alphabet/],
    ['QUJDQU\u00e9D', 6, /alphabet/],
    ['QUJD-UJD', 4, /URL-safe/],
    ['QUJDQUJ_', 7, /URL-safe/],
    ['QUJD\nQUJD', 4, /Whitespace/],
    ['QUJDQ', 5, /ends inside/],
    ['QUJDQUI', 7, /ends inside/],
    ['QQ==QUJD', 2, /padding/],
    ['QUI==', 4, /follow the padding/],
    ['Q===', 1, /padding is wrong/],
    ['=', 0, /padding is wrong/],
    ['QR==', 1, /bits that no byte uses/],
    ['QUJDQUJ=', 6, /bits that no byte uses/],
    ['data:image/png;base64,QUJD', 4, /data URI/],
    ['QUJDdata:', 8, /alphabet/],
  ])('says what is wrong with %j and where', (text, offset, message) => {
    const fault = faultOf(text)
    expect(fault.offset).toBe(offset)
    expect(fault.message).toMatch(message)
    expect(faultOf(text, STRICT_BASE64, 1).message).toMatch(text === 'QQ==QUJD' ? /follow/ : message)
  })

  it('decodes nothing to nothing', () => {
    expect(decode('')).toBe('')
  })

  it('skips whitespace anywhere when it may', () => {
    for (const pieceBytes of [1, 2, 3, 5, 100]) {
      expect(decode('\r\n QU\tJD\n\nQ\fQ=\n= \n', LENIENT, pieceBytes)).toBe('ABCA')
    }
  })

  it('does without padding when it may, but not with half of it', () => {
    expect(decode('QQ', LENIENT)).toBe('A')
    expect(decode('QUI', LENIENT)).toBe('AB')
    for (const text of ['QQ=', 'QUI==', 'aGVsbG8==', 'Q', 'QR', 'QUJD-_==', 'data:image/png;base64,QUJD']) faultOf(text, LENIENT)
  })
})
