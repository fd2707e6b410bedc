import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { FormProfile } from './read-upload.ts'
import { cutInto, LIMITS, type Outcome, read } from './testing.ts'

const policy = { whitespace: 'allow', padding: 'optional' } as const
const FORM: FormProfile = {
  filePart: null,
  base64: null,
  raw: false,
  xml: { path: ['file_content'], item: 'data_item', policy },
  query: { name: 'file_content', policy },
}

function readText(text: string | Uint8Array, { type = 'text/xml', pieceBytes = 1 << 16 } = {}): Promise<Outcome> {
  return read(cutInto(Buffer.from(text), pieceBytes), { 'content-type': type }, { form: FORM })
}

async function codeOf(text: string | Uint8Array): Promise<string | null> {
  return (await readText(text)).code
}

const xml = (inner: string) => `<?xml version="1.0"?>\n<magento_api>${inner}</magento_api>`

function escaped(text: string): string {
  return text.replace(/[&<>\r]/g, (character) => `&#${character.charCodeAt(0)};`)
}

describe('an XML body', () => {
  it('brings the file and the fields, however it is cut', async () => {
    const body = Buffer.from(
      xml(`
        <!-- <file_content>no</file_content> -->
        <label>caf\u00e9 &amp; &#x1F600;<![CDATA[<b>]]></label>
        <file_content>QUJ&#68;&#13;\r\n<!-- here -->RA<![CDATA[==]]>
        </file_content>
        <types><data_item>image</data_item><data_item/></types><exclude/>`),
    )
    for (let at = 0; at <= body.length; at += 1) {
      const pieces = [body.subarray(0, at), body.subarray(at)].filter((piece) => piece.length > 0)
      const { body: upload } = await read(pieces, { 'content-type': 'application/xml; charset=utf-8' }, { form: FORM })
      expect(upload?.staged?.content.toString()).toBe('ABCD')
      expect(upload?.fields).toEqual({ label: 'caf\u00e9 & \u{1F600}<b>', types: ['image', ''], exclude: '' })
    }
  })

  it('reads back any text, and any file, at any place', async () => {
    // oxlint-disable-next-line no-control-regex -- XML 1.0 has no way to write these.
    const text = fc
      .string({ unit: 'binary' })
      .map((text) => text.toWellFormed().replace(/[^\t\n\r -\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/gu, ''))
    await fc.assert(
      fc.asyncProperty(
        text,
        fc.uint8Array({ minLength: 1, maxLength: 200 }),
        fc.nat(),
        fc.integer({ min: 1, max: 40 }),
        async (label, content, seed, pieceBytes) => {
          const parts = [`<label>${escaped(label)}</label>`, '<name>x</name>']
          parts.splice(seed % 3, 0, `<file_content>${Buffer.from(content).toString('base64')}</file_content>`)
          const { body } = await readText(xml(parts.join('\n')), { pieceBytes })
          expect(body?.staged?.content).toEqual(Buffer.from(content))
          expect(body?.fields).toEqual({ label, name: 'x' })
        },
      ),
      { numRuns: 300 },
    )
  })

  it('has lists of items, lists of what is repeated, and objects of all else', async () => {
    const inner =
      '<a><b>1</b><c> 2 </c></a><d>1</d><d>2</d><one><data_item>x</data_item></one><none/><mixed><data_item>x</data_item><y/></mixed>'
    expect((await readText(xml(inner))).body?.fields).toEqual({
      a: { b: '1', c: ' 2 ' },
      d: ['1', '2'],
      one: ['x'],
      none: '',
      mixed: { data_item: ['x'], y: '' },
    })
    expect((await readText('<any><label>without a prolog</label></any>')).body?.fields).toEqual({ label: 'without a prolog' })
    expect((await readText(`\uFEFF${xml('<label>with a byte order mark</label>')}`)).code).toBeNull()
  })

  it('ends every line with a line feed, unless it is written otherwise', async () => {
    const { body } = await readText(xml('<label>a\r\nb\rc&#13;\n</label>'), { pieceBytes: 1 })
    expect(body?.fields['label']).toBe('a\nb\nc\r\n')
  })

  it('takes a file as long as one may be, with every line end as a reference', async () => {
    const content = Buffer.alloc(LIMITS.fileBytesMax, 7)
    const lines = (content.toString('base64').match(/.{1,76}/g) ?? []).join('&#13;\n')
    const { body } = await readText(xml(`<file_content>${lines}</file_content>`), { pieceBytes: 1_000 })
    expect(body?.staged?.content).toEqual(content)
    expect((await readText(xml(`<file_content>${lines}AAAA</file_content>`))).code).not.toBeNull()
  })

  it('knows the file only in its own element, once', async () => {
    expect((await readText(xml('<a><file_content>QUJD</file_content></a>'))).body).toMatchObject({
      staged: null,
      fields: { a: { file_content: 'QUJD' } },
    })
    expect(await codeOf(xml('<file_content>QUJD</file_content><file_content>QUJD</file_content>'))).toBe('request_invalid')
    expect(await codeOf(xml('<file_content>QU<b/>JD</file_content>'))).toBe('request_invalid')
    expect(await codeOf(xml('<file_content>QUI</file_content>'))).toBeNull()
    expect(await codeOf(xml('<file_content>QUJ%</file_content>'))).toBe('base64_invalid')
    expect(await codeOf(xml('<file_content>\u0416</file_content>'))).toBe('base64_invalid')
  })

  it.each([
    ['nothing', ''],
    ['no element', '<?xml version="1.0"?>'],
    ['text', 'label=1'],
    ['an open root', '<a><b>1</b>'],
    ['an end inside the file', '<a><file_content>QUJD'],
    ['crossed tags', '<a><b></a></b>'],
    ['two roots', '<a/><b/>'],
    ['text behind the root', '<a/>b'],
    ['an unquoted attribute', '<a b=c/>'],
    ['an attribute that trips the parser', '<a hasOwnProperty="1" b="2"/>'],
    ['a lone ampersand', '<a>a & b</a>'],
    ['an undeclared entity', '<a>&nbsp;</a>'],
    ['an entity of the prototype', '<a>&toString;</a>'],
    ['a reference to no character', '<a>&#0;</a>'],
    ['a reference to half a pair', '<a>&#xD800;</a>'],
    ['a control character', '<a>\u0008</a>'],
    ['NUL', '<a>\0</a>'],
    ['another encoding', '<?xml version="1.0" encoding="ISO-8859-1"?><a>b</a>'],
    ['bytes that are not UTF-8', Buffer.from('3c613eff3c2f613e', 'hex')],
    ['half a character at the end', Buffer.concat([Buffer.from('<a/>'), Buffer.from([0xe2, 0x82])])],
    ['UTF-16', Buffer.from('\uFEFF<a/>', 'utf16le')],
    ['a DOCTYPE', '<!DOCTYPE a><a/>'],
    ['an outer entity', '<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>'],
    [
      'entities that multiply',
      `<!DOCTYPE a [<!ENTITY x "x">${Array.from('abcdefgh')
        .map((name, n, all) => `<!ENTITY ${name} "${`&${all[n - 1] ?? 'x'};`.repeat(10)}">`)
        .join('')}]><a>&h;</a>`,
    ],
    ['more levels than anybody needs', `${'<a>'.repeat(65)}${'</a>'.repeat(65)}`],
  ])('refuses %s', async (_what, text) => {
    for (const pieceBytes of [1, 7, 1 << 16]) expect((await readText(text, { pieceBytes })).code).toBe('xml_invalid')
  })

  it.each([
    ['a long text', xml(`<label>${'x'.repeat(LIMITS.envelopeBytesMax)}</label>`)],
    ['many elements', xml('<a/>'.repeat(2_000))],
    ['many elements beside each other in one', xml(`<a>${'<b/>'.repeat(2_000)}</a>`)],
    ['many references', xml(`<label>${'&#65;'.repeat(LIMITS.envelopeBytesMax + 1)}</label>`)],
    ['many attributes', `<a ${Array.from({ length: 1_000 }, (_, n) => `a${n}=""`).join(' ')}/>`],
  ])('refuses %s', async (_what, text) => {
    expect(await codeOf(text)).toBe('request_too_large')
  })

  it('gives elements of any name, and changes nothing by them', async () => {
    const { body } = await readText('<a><__proto__><x>1</x></__proto__><constructor>2</constructor><b __proto__="3">4</b></a>')
    const fields = body?.fields ?? {}
    expect(Object.getPrototypeOf(fields)).toBe(Object.prototype)
    expect(Object.entries(fields)).toEqual([
      ['__proto__', { x: '1' }],
      ['constructor', '2'],
      ['b', '4'],
    ])
    expect(Object.keys(Object.prototype)).toEqual([])
  })

  it('does not hold what it drops: a name, a value or a comment of any length', async () => {
    for (const text of [`<!--${'x'.repeat(80_000)}--><a/>`, `<${'a'.repeat(80_000)}/>`, `<a b="${'x'.repeat(80_000)}"/>`]) {
      expect((await readText(text, { pieceBytes: 1_000 })).code).toMatch(/^(xml_invalid|request_too_large)$/)
    }
  })
})

describe('a body of urlencoded fields', () => {
  const readFields = (text: string) => readText(text, { type: 'text/plain' })

  it('brings the file and the fields', async () => {
    const { body } = await readFields('label=a%26b+c&types%5B%5D=image&types[1]=thumbnail&file_content=QUI%2B')
    expect(body?.staged?.content.toString()).toBe('AB>')
    expect(body?.fields).toEqual({ label: 'a&b c', types: ['image', 'thumbnail'] })
  })

  it.each([
    ['a field that is not UTF-8', 'label=%FF', 'request_invalid'],
    ['a second file', 'file_content=QUJD&file_content=QUJD', 'request_invalid'],
    ['what is not base64', 'file_content=QUJ%25', 'base64_invalid'],
    ['too many fields', 'a=1&'.repeat(9), 'request_too_large'],
    ['a body that is larger than an envelope', `a=${'x'.repeat(LIMITS.envelopeBytesMax)}`, 'request_too_large'],
  ])('refuses %s', async (_what, text, code) => {
    expect((await readFields(text)).code).toBe(code)
  })
})
