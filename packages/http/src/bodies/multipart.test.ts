import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SluiceError } from '@sluice/core'
import type { StageBytes } from './staging.ts'
import { FORM, type Kept, LIMITS, cutInto, read } from './testing.ts'

interface Part {
  readonly head: string
  readonly content: string | Uint8Array
}

const FILE: Part = {
  head: 'Content-Disposition: form-data; name="file"; filename="a.png"\r\nContent-Type: image/PNG',
  content: 'PNGBYTES',
}

function field(name: string, content: string | Uint8Array): Part {
  return { head: `Content-Disposition: form-data; name="${name}"`, content }
}

function formOf(parts: readonly Part[], boundary = 'b', closing = '--\r\n'): Buffer {
  const written = parts.flatMap(({ head, content }) => [`--${boundary}\r\n${head}\r\n\r\n`, content, '\r\n'])
  return Buffer.concat([...written, `--${boundary}${closing}`].map((piece) => Buffer.from(piece as string)))
}

function readForm(
  parts: readonly Part[],
  options: { boundary?: string; closing?: string; type?: string; pieceBytes?: number } = {},
) {
  const { boundary = 'b', closing, type = `multipart/form-data; boundary=${boundary}`, pieceBytes = 1 << 16 } = options
  return read(cutInto(formOf(parts, boundary, closing), pieceBytes), { 'content-type': type })
}

describe('a multipart body', () => {
  it('brings the file and the fields in any order, however it is cut', async () => {
    const parts = [field('name', 'front'), FILE, field('label', 'café'), field('position', '1')]
    for (const order of [parts, parts.toReversed(), [FILE, ...parts.filter((part) => part !== FILE)]]) {
      const length = formOf(order).length
      for (let pieceBytes = 1; pieceBytes <= length; pieceBytes += 7) {
        const { body, code } = await readForm(order, { pieceBytes })
        expect(code).toBeNull()
        expect(body?.staged).toMatchObject({ fileName: 'a.png', declaredType: 'image/png', content: Buffer.from('PNGBYTES') })
        expect(body?.fields).toEqual({ name: 'front', label: 'café', position: '1' })
      }
    }
  })

  it('carries any bytes, even ones that look like the boundary', async () => {
    const content = fc.array(
      fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.constantFrom('\r\n', '\r\n--', '--b', '\r\n--c', '-', '\r')),
      { maxLength: 30 },
    )
    await fc.assert(
      fc.asyncProperty(content, fc.integer({ min: 1, max: 40 }), async (pieces, pieceBytes) => {
        const bytes = Buffer.concat(pieces.map((piece) => Buffer.from(piece as string)))
        fc.pre(!bytes.includes('\r\n--b') && !bytes.subarray(0, 3).equals(Buffer.from('--b')))
        const { body } = await readForm([{ ...FILE, content: bytes }, field('label', 'x')], { pieceBytes })
        expect(body?.staged?.content).toEqual(bytes)
        expect(body?.fields).toEqual({ label: 'x' })
      }),
      { numRuns: 300 },
    )
  })

  it('makes an array of a name that is repeated or ends in []', async () => {
    const { body } = await readForm([field('roles', 'front'), field('roles', 'back'), field('tags[]', 'one'), field('label', '')])
    expect(body).toEqual({ staged: null, fields: { roles: ['front', 'back'], tags: ['one'], label: '' } })
  })

  it('takes a part for the file by its name or by its file name', async () => {
    const unnamed = await readForm([field('file', 'BYTES')])
    expect(unnamed.body?.staged).toMatchObject({ fileName: null, content: Buffer.from('BYTES') })
    const blob = await readForm([
      { head: 'Content-Disposition: form-data; name="file"; filename="blob"\r\nContent-Length: 5', content: 'BYTES' },
    ])
    expect(blob.body?.staged).toMatchObject({ fileName: 'blob', content: Buffer.from('BYTES') })
    const other = await readForm([{ head: 'Content-Disposition: form-data; name="image"; filename="a.png"', content: 'BYTES' }])
    expect(other.code).toBe('request_invalid')
    expect(SluiceError.is(other.error) && other.error.message).toContain('"file"')
  })

  it('reads the file from the part that the dialect names', async () => {
    const head = 'Content-Disposition: form-data; name="image"; filename="a.png"'
    const body = formOf([{ head, content: 'BYTES' }])
    const outcome = await read(
      [body],
      { 'content-type': 'multipart/form-data; boundary=b' },
      { form: { ...FORM, filePart: 'image' } },
    )
    expect(outcome.body?.staged?.content.toString()).toBe('BYTES')
  })

  it('keeps no path of a file name', async () => {
    const { body } = await readForm([
      { head: 'Content-Disposition: form-data; name="file"; filename="../../etc/passwd"', content: 'x' },
    ])
    expect(body?.staged?.fileName).toBe('passwd')
  })

  it.each([
    ['quoted', 'b 1', 'multipart/form-data; boundary="b 1"'],
    ['with a charset', 'b', 'multipart/form-data; charset=utf-8; boundary=b'],
    ['in capitals', 'b', 'Multipart/Form-Data; BOUNDARY=b'],
    ['of the longest length', 'b'.repeat(70), `multipart/form-data; boundary=${'b'.repeat(70)}`],
  ])('accepts a boundary that is %s', async (_, boundary, type) => {
    expect((await readForm([FILE], { boundary, type })).body?.staged?.content.toString()).toBe('PNGBYTES')
  })

  it.each([
    ['a missing boundary', 'multipart/form-data', 'b'],
    ['an empty boundary', 'multipart/form-data; boundary=', 'b'],
    ['a boundary of 255 characters', `multipart/form-data; boundary=${'b'.repeat(255)}`, 'b'.repeat(255)],
    ['another boundary', 'multipart/form-data; boundary=c', 'b'],
  ])('refuses %s', async (_, type, boundary) => {
    expect((await readForm([FILE], { boundary, type })).code).toBe('multipart_invalid')
  })

  it('refuses two files, whichever comes first, and keeps neither', async () => {
    const second = { ...FILE, head: FILE.head.replace('name="file"', 'name="other"') }
    for (const parts of [
      [FILE, FILE],
      [FILE, second],
      [FILE, field('label', 'x'), FILE],
    ]) {
      for (const pieceBytes of [1, 1 << 16]) {
        expect((await readForm(parts, { pieceBytes })).code).toBe('source_ambiguous')
      }
    }
  })

  it('refuses a body that is cut anywhere, and keeps nothing', async () => {
    const whole = formOf([FILE, field('label', 'x')])
    const type = { 'content-type': 'multipart/form-data; boundary=b' }
    for (let length = 0; length <= whole.length - 4; length += 1) {
      expect((await read(cutInto(whole.subarray(0, length), 5), type)).code).toBe('multipart_invalid')
    }
  })

  it('never ends the process, whatever one byte becomes', async () => {
    const whole = formOf([field('label', 'x'), FILE])
    const type = { 'content-type': 'multipart/form-data; boundary=b' }
    for (let at = 0; at < whole.length; at += 1) {
      for (const byte of [0, 0x0a, 0x0d, 0x22, 0x2d, 0x3a, 0xff]) {
        const damaged = Buffer.from(whole)
        damaged[at] = byte
        const { code } = await read(cutInto(damaged, 11), type)
        expect([null, 'multipart_invalid', 'request_invalid', 'request_too_large', 'source_ambiguous']).toContain(code)
      }
    }
  })

  it('never ends the process, whatever it is sent', async () => {
    const piece = fc.oneof(
      fc.constantFrom('--b', '\r\n--b', '--b--', '\r\n\r\n', '\r\n', '\r', '\n', ':', '__proto__: x\r\n', 'constructor: x\r\n'),
      fc.constantFrom(
        'Content-Disposition: form-data; name="file"; filename="x"',
        'Content-Disposition: form-data; name=a',
        'Content-Type: ;',
      ),
      fc.uint8Array({ maxLength: 8 }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 25 }), fc.integer({ min: 1, max: 30 }), async (pieces, pieceBytes) => {
        const body = Buffer.concat(pieces.map((piece) => Buffer.from(piece as string)))
        const { body: upload, code } = await read(cutInto(body, pieceBytes), {
          'content-type': 'multipart/form-data; boundary=b',
        })
        expect(upload === null).toBe(code !== null)
      }),
      { numRuns: 500 },
    )
  })

  it.each(['__proto__: x', 'constructor: x', '__proto__: x\r\n__proto__: y', 'toString: x'])(
    'survives a part with the header %j',
    async (header) => {
      const { body } = await readForm([{ ...FILE, head: `${header}\r\n${FILE.head}` }])
      expect(body?.staged?.content.toString()).toBe('PNGBYTES')
    },
  )

  it.each(['__proto__', 'constructor', 'toString'])('refuses a field with the name %s', async (name) => {
    expect((await readForm([field(name, 'x'), FILE])).code).toBe('multipart_invalid')
  })

  it('refuses parts without a name', async () => {
    for (const head of ['Content-Disposition: form-data', 'Content-Disposition: form-data; filename="x"']) {
      expect((await readForm([{ head, content: 'x' }])).code).toBe('multipart_invalid')
    }
  })

  it('passes over parts that are no form-data', async () => {
    const { body } = await readForm([
      { head: 'Content-Type: text/plain', content: 'x' },
      { head: 'Content-Disposition: attachment; name="file"', content: 'x' },
      { head: 'Content-Disposition: form-data; name="la\rbel"', content: 'x' },
      field('label', 'kept'),
    ])
    expect(body).toEqual({ staged: null, fields: { label: 'kept' } })
  })

  it('refuses text that is not UTF-8 instead of keeping other text', async () => {
    const { code, error } = await readForm([field('label', Buffer.from('café', 'latin1'))])
    expect(code).toBe('request_invalid')
    expect(SluiceError.is(error) && error.details['field']).toBe('label')
    expect(
      (
        await readForm([
          {
            head: 'Content-Disposition: form-data; name="label"\r\nContent-Type: text/plain; charset=iso-8859-1',
            content: Buffer.from('café', 'latin1'),
          },
        ])
      ).body?.fields,
    ).toEqual({ label: 'café' })
  })

  it('bounds the number of fields and of parts', async () => {
    const fields = (count: number) => Array.from({ length: count }, (_, index) => field(`f${index}`, 'x'))
    expect((await readForm([...fields(LIMITS.formFieldsMax), FILE])).code).toBeNull()
    expect((await readForm([...fields(LIMITS.formFieldsMax + 1), FILE])).code).toBe('request_too_large')
    const parts = Array.from({ length: 5000 }, (_, index) => ({ head: 'X: y', content: `${index % 10}` }))
    expect((await readForm(parts.slice(0, 1000))).code).toBe('request_too_large')
    expect((await readForm(parts)).code).toMatch(/_too_large$/)
  })

  it('bounds one field and all fields together', async () => {
    expect((await readForm([FILE, field('label', 'x'.repeat(LIMITS.envelopeBytesMax + 1))])).code).toBe('request_too_large')
    const half = 'x'.repeat(LIMITS.envelopeBytesMax / 2)
    expect((await readForm([field('a', half), FILE, field('b', half)])).code).toBe('request_too_large')
  })

  it('bounds the file', async () => {
    expect((await readForm([{ ...FILE, content: Buffer.alloc(LIMITS.fileBytesMax) }])).body?.staged?.content.length).toBe(
      LIMITS.fileBytesMax,
    )
    expect((await readForm([{ ...FILE, content: Buffer.alloc(LIMITS.fileBytesMax + 1) }])).code).toBe('file_too_large')
    expect((await readForm([{ ...FILE, content: Buffer.alloc(LIMITS.fileBytesMax * 3) }])).code).toBe('file_too_large')
  })

  it('knows by itself that a file was cut at the limit, whoever counts', async () => {
    const stage: StageBytes<Kept> = async (bytes, meta) => {
      const content = Buffer.concat(await Array.fromAsync(bytes))
      return { ...meta, content, discard: async () => undefined }
    }
    const body = formOf([{ ...FILE, content: Buffer.alloc(LIMITS.fileBytesMax + 2) }])
    const type = { 'content-type': 'multipart/form-data; boundary=b' }
    expect((await read(cutInto(body, 1 << 12), type, { stage })).code).toBe('file_too_large')
  })

  it('takes the name of a field whole, and counts it with what may stand beside the file', async () => {
    const name = 'n'.repeat(10_000)
    expect((await readForm([field(name, 'x')])).body?.fields).toEqual({ [name]: 'x' })
    expect((await readForm([field(name, 'x'), field(name, 'y')])).code).toBe('request_too_large')
  })

  it.each([
    ['more headers than anybody sends', Array.from({ length: 200 }, (_, n) => `X-${n}: y`).join('\r\n')],
    ['a header of any length', `X-Long: ${'y'.repeat(60_000)}`],
    ['headers without an end', `${'X: y\r\n'.repeat(9_000)}X: y`],
  ])('holds no more of the head of a part than it may, and takes no other part for it: %s', async (_, head) => {
    const { body, code } = await readForm([{ ...FILE, head: `${head}\r\n${FILE.head}` }, field('label', 'x')])
    // What stands beyond the bound is not seen: the part says nothing then, and is passed over.
    expect([code, body]).toEqual([null, { staged: null, fields: { label: 'x' } }])
  })

  it('bounds what stands before the first part', async () => {
    const endless = (function* () {
      for (;;) yield Buffer.alloc(8192, 'x')
    })()
    expect((await read(endless, { 'content-type': 'multipart/form-data; boundary=b' })).code).toBe('file_too_large')
  })

  it.each(['--b--', '--b--\r\nepilogue', '--b--\r\n--bContent-Disposition: form-data; name="late"'])(
    'reads %j as a form without parts',
    async (text) => {
      for (const pieceBytes of [1, 5, 11, 100]) {
        const { body } = await read(cutInto(Buffer.from(text), pieceBytes), { 'content-type': 'multipart/form-data; boundary=b' })
        expect(body).toEqual({ staged: null, fields: {} })
      }
    },
  )

  it('ignores what stands after the last part', async () => {
    const { body } = await readForm([FILE], {
      closing: '--\r\nepilogue\r\n--b\r\nContent-Disposition: form-data; name="late"\r\n\r\nx\r\n--b--',
      pieceBytes: 9,
    })
    expect(body?.fields).toEqual({})
    expect(body?.staged?.content.toString()).toBe('PNGBYTES')
  })
})
