import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SluiceError } from '@sluice/core'
import type { Base64Policy } from './base64.ts'
import { readDocument } from './json.ts'
import type { FormProfile } from './read-upload.ts'
import { FORM, LIMITS, cutInto, memoryStage, read, type Outcome } from './testing.ts'

const JSON_TYPE = { 'content-type': 'application/json; charset=utf-8' }
const ROOT: FormProfile = { ...FORM, base64: { path: ['file_content'], policy: { whitespace: 'allow', padding: 'optional' } } }
const CORPUS = fileURLToPath(new URL('../../../../../shared/corpora/json/', import.meta.url))

function readText(text: string | Uint8Array, form = FORM, pieceBytes = 1 << 16): Promise<Outcome> {
  return read(cutInto(Buffer.from(text), pieceBytes), JSON_TYPE, { form })
}

async function contentOf(text: string, form?: FormProfile): Promise<string | undefined> {
  const outcome = await readText(text, form)
  if (outcome.error) throw outcome.error
  return outcome.body?.staged?.content.toString('latin1')
}

describe('a JSON body', () => {
  it('brings the file and the fields, however it is cut', async () => {
    const text =
      '{"label":"caf\u00e9 \\u00e9","file":{"name":"a\\"b.png","base64":"QUJDRA==","media_type":"image/png"},"roles":["x"]}'
    const body = Buffer.from(text)
    for (let at = 0; at <= body.length; at += 1) {
      const { body: upload } = await read(
        [body.subarray(0, at), body.subarray(at)].filter((piece) => piece.length > 0),
        JSON_TYPE,
      )
      expect(upload?.staged?.content.toString()).toBe('ABCD')
      expect(upload?.fields).toEqual({ label: 'café é', file: { name: 'a"b.png', media_type: 'image/png' }, roles: ['x'] })
    }
  })

  it('agrees with JSON.parse about any document, any content and any cut', async () => {
    // V8 takes an escaped name for one with a backslash that it has read before (nodejs/node#63785): both sides would guess.
    const name = fc
      .oneof(fc.constantFrom('file', 'base64', 'a', '"', 'é'), fc.string({ maxLength: 4 }))
      .filter((name) => !name.includes('\\'))
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 4 },
        fc.jsonValue({ maxDepth: 0 }),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(
          name.filter((name) => name !== '__proto__' && name !== 'constructor'),
          tie('value'),
          { maxKeys: 3 },
        ),
      ),
    }))
    await fc.assert(
      fc.asyncProperty(
        fc.dictionary(fc.constantFrom('a', 'b', '"base64"'), value),
        fc.option(fc.uint8Array({ maxLength: 40 }), { nil: null }),
        fc.integer({ min: 1, max: 30 }),
        fc.constantFrom(undefined, 1),
        async (around, content, pieceBytes, indent) => {
          const rest = { ...around, ...(content && { file: { before: [{ base64: '!' }], after: { base64: 1 } } }) }
          const whole = content
            ? {
                ...rest,
                file: { before: rest.file?.before, base64: Buffer.from(content).toString('base64'), after: rest.file?.after },
              }
            : rest
          const { body } = await readText(JSON.stringify(whole, null, indent), FORM, pieceBytes)
          expect(body?.staged?.content ?? null).toEqual(content && Buffer.from(content))
          expect(body?.fields).toEqual(JSON.parse(JSON.stringify(rest)))
        },
      ),
      { numRuns: 300 },
    )
  })

  it('finds the file at the root, or deeper, or not at all', async () => {
    expect(await contentOf('{"file_content":"QUJD","file_mime_type":"image/png"}', ROOT)).toBe('ABC')
    expect(await contentOf('{"file_id":"4711"}')).toBeUndefined()
    expect(await contentOf('{"file":{"name":"x"},"base64":"!"}')).toBeUndefined()
    expect(await contentOf('{"other":{"base64":"!"},"list":[{"file":{"base64":"!"}}]}')).toBeUndefined()
    expect(await contentOf('{"file":[{"base64":"!"}],"also":{"file":{"base64":"!"}}}')).toBeUndefined()
    expect(await contentOf('{"file":{"deeper":{"base64":"!"},"base64":""}}')).toBe('')
  })

  it('leaves every string alone on a route without base64', async () => {
    const { body } = await readText('{"file":{"base64":"!"}}', {
      ...FORM,
      base64: { path: [], policy: { whitespace: 'refuse', padding: 'required' } },
    })
    expect(body).toEqual({ staged: null, fields: { file: { base64: '!' } } })
  })

  it('reads the escapes that PHP and .NET write, however they are cut', async () => {
    const content = Buffer.from([0xfb, 0xff, 0xbf, 0xff, 0xfb, 0xf0])
    const base64 = content.toString('base64')
    const written = [
      base64.replaceAll('/', '\\/'),
      base64.replaceAll('+', '\\u002B').replaceAll('/', '\\u002f'),
      `${base64}QQ==`.replaceAll('=', '\\u003D'),
    ]
    for (const text of written) {
      const body = Buffer.from(`{"file":{"base64":"${text}"}}`)
      for (let at = 1; at < body.length; at += 1) {
        const { body: upload } = await read([body.subarray(0, at), body.subarray(at)], JSON_TYPE)
        expect(upload?.staged?.content.subarray(0, 6)).toEqual(content)
      }
    }
  })

  it('reads a large file whose base64 is full of escapes', async () => {
    const content = Buffer.alloc(60_000, 'the quick brown \u00ff\u00ff\u00ff fox', 'latin1')
    const text = JSON.stringify({ file: { base64: content.toString('base64') } }).replaceAll('/', '\\/')
    expect((await readText(text, FORM, 4099)).body?.staged?.content.equals(content)).toBe(true)
  })

  it('lets whitespace into base64 only where the route allows it, and only escaped', async () => {
    expect(await contentOf('{"file_content":"QU\\r\\nJD\\n"}', ROOT)).toBe('ABC')
    expect((await readText('{"file_content":"QU\nJD"}', ROOT)).code).toBe('json_invalid')
    expect((await readText('{"file":{"base64":"QU\\nJD"}}')).code).toBe('base64_invalid')
    expect((await readText('{"file":{"base64":"QU\nJD"}}')).code).toBe('json_invalid')
  })

  it.each(['1', 'null', 'true', '{}', '["QUJD"]', '-0.5e1'])(
    'refuses %s in place of the content and names the member',
    async (value) => {
      for (const [text, form, field] of [
        [`{"file":{"base64": ${value}}}`, FORM, 'file.base64'],
        [`{"file_content":${value}}`, ROOT, 'file_content'],
      ] as const) {
        const { code, error } = await readText(text, form)
        expect(code).toBe('request_invalid')
        expect(SluiceError.is(error) && error.details['field']).toBe(field)
      }
    },
  )

  it.each([
    '{"file":{"base64":"QUJD","base64":"QUJE"}}',
    '{"file":{"base64":"QUJD"},"file":{"base64":"QUJE"}}',
    '{"file":{"base64":"QUJD"},"file":{}}',
    '{"file":{"base64":"QUJD"},"f\\u0069le":null}',
    '{"file":null,"file":{"base64":"QUJD"}}',
    '{"file":{"b\\u0061se64":"QUJD","base64":"QUJD"}}',
  ])('refuses %s, where it cannot be known which file is meant', async (text) => {
    expect((await readText(text)).code).toBe('request_invalid')
  })

  it('knows a member by its name, not by how the name is written', async () => {
    expect(await contentOf('{"\\u0066ile":{"bas\\u00656\\u0034":"QUJD"}}')).toBe('ABC')
  })

  it.each([
    '',
    '{',
    '{"file":{"base64":"QUJD',
    '{"file":{"base64":"QUJD\\',
    '{"file":{"base64":"QUJD"',
    '{"file":{"base64":"QUJD"}',
    '{"file":{"base64":"QUJD"}}}',
    '{"file":{"base64":"QUJD"}},',
    '{"file":{"base64" "QUJD"}}',
    '{"file":{"base64":,"QUJD"}}',
    '{"file":{"base64":"QUJD",}}',
    '{"file":{"base64":"QU\\xJD"}}',
    '{"file":{"base64":"QU\\u00zzJD"}}',
    "{'file':{'base64':'QUJD'}}",
    '{"file":{"base64":"QUJD"}} {"file":{"base64":"QUJD"}}',
    '{"label":"a\nb"}',
    '{"__proto__":{"x":1}}',
    '{"a":{"constructor":{"prototype":{"x":1}}}}',
    `{"a":${'['.repeat(100)}${']'.repeat(100)}}`,
    '['.repeat(9_000),
    '{"file":{"base64":"QUJD"}}\\"',
  ])('refuses %j', async (text) => {
    for (const pieceBytes of [1, 7, 1 << 16]) {
      expect((await readText(text, FORM, pieceBytes)).code).toMatch(/^(json_invalid|request_invalid)$/)
    }
  })

  it('takes the last of a member that is there twice, as every reader of JSON does, unless it is the file', async () => {
    expect((await readText('{"label":"a","label":"b"}')).body?.fields).toEqual({ label: 'b' })
    expect((await readText('{"file":{"base64":"QUJD","base64":"QUJD"}}')).code).toBe('request_invalid')
    expect((await readText('{"file":{"base64":"QUJD"},"file":{}}')).code).toBe('request_invalid')
  })

  it('refuses what is not UTF-8 and what is not an object', async () => {
    expect((await readText(Buffer.from('{"label":"caf\u00e9"}', 'latin1'))).code).toBe('json_invalid')
    expect((await readText(Buffer.from('{"label":"x"}', 'utf16le'))).code).toBe('json_invalid')
    for (const text of ['[]', '1', 'null', '"x"']) expect((await readText(text)).code).toBe('request_invalid')
  })

  it('says where the base64 is wrong', async () => {
    const { code, error } = await readText('{"file":{"base64":"QUJDQU\\u0021D"}}')
    expect(code).toBe('base64_invalid')
    expect(SluiceError.is(error) && error.details['offset']).toBe(6)
    expect((await readText('{"file":{"base64":"QUJD\\"QUJ"}}')).code).toBe('base64_invalid')
  })

  it('bounds what surrounds the file, and the file by itself', async () => {
    const large = 'x'.repeat(LIMITS.envelopeBytesMax)
    expect((await readText(`{"label":"${large}"}`)).code).toBe('request_too_large')
    expect((await readText(`{"file":{"base64":"QUJD"},"label":"${large}"}`)).code).toBe('request_too_large')
    const file = Buffer.alloc(LIMITS.fileBytesMax).toString('base64')
    expect((await readText(`{"file":{"base64":"${file}"}}`)).body?.staged?.content.length).toBe(LIMITS.fileBytesMax)
    expect((await readText(`{"file":{"base64":"AAAA${file}"}}`)).code).toBe('file_too_large')
  })

  it('ends a content that is endless whitespace', async () => {
    const endless = (function* () {
      yield Buffer.from('{"file_content":"')
      for (;;) yield Buffer.from('\\n'.repeat(1000))
    })()
    expect((await read(endless, JSON_TYPE, { form: ROOT })).code).toBe('file_too_large')
  })
})

describe.skipIf(!existsSync(CORPUS))('JSONTestSuite', () => {
  const names = existsSync(CORPUS) ? readdirSync(CORPUS).filter((name) => name.endsWith('.json')) : []
  const policy: Base64Policy = { whitespace: 'refuse', padding: 'required' }

  async function verdict(name: string, pieceBytes: number): Promise<'accepted' | 'refused'> {
    const body = readFileSync(`${CORPUS}${name}`)
    async function* pieces() {
      for (const piece of cutInto(body, pieceBytes)) yield Buffer.from(piece)
    }
    const options = {
      contentAt: { path: ['file', 'base64'], policy },
      stage: memoryStage().stage,
      limits: { envelopeBytesMax: 1 << 20 },
    }
    try {
      await readDocument(pieces(), options)
      return 'accepted'
    } catch (error) {
      if (!SluiceError.is(error, 'json_invalid')) throw error
      return 'refused'
    }
  }

  it.each(names)('%s', async (name) => {
    const verdicts = await Promise.all([1, 13, 1 << 20].map((pieceBytes) => verdict(name, pieceBytes)))
    const [first] = verdicts
    expect(verdicts).toEqual([first, first, first])
    expect({ y: ['accepted'], n: ['refused'], i: ['accepted', 'refused'] }[name.slice(0, 1)]).toContain(first)
  })
})
