import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { answerOf } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { failed, newToken, NOT_FOUND, said, sendRaw, treeWords } from './hierarchies.ts'

let stack: Stack
let writer: { authorization: string }
let reader: { authorization: string }
const { call, list, newHierarchy, newNode, node, nodeBody } = treeWords(() => stack)

beforeAll(async () => {
  stack = await openStack('embedded')
  writer = { authorization: `Bearer ${(await newToken(stack, 'writer')).secret}` }
  reader = { authorization: `Bearer ${(await newToken(stack, 'reader')).secret}` }
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

describe('requests', () => {
  /** Every route, with a body that it takes. */
  async function routes(): Promise<readonly (readonly [string, string, object?])[]> {
    const hierarchy = await newHierarchy()
    const [id, other] = [await newNode(hierarchy), await newNode(hierarchy)]
    const children = { data: [{ type: 'node', id: other }] }
    const at = `/${hierarchy}/nodes/${id}`
    return [
      ['GET', ''],
      ['GET', `/${hierarchy}`],
      ['GET', `/${hierarchy}/nodes`],
      ['GET', `/${hierarchy}/children`],
      ['GET', at],
      ['GET', `${at}/children`],
      ['POST', '', { data: { type: 'hierarchy', attributes: { name: 'x' } } }],
      ['PUT', `/${hierarchy}`, { data: { type: 'hierarchy', attributes: { name: 'x' } } }],
      ['POST', `/${hierarchy}/nodes`, nodeBody('x')],
      ['PUT', at, { data: { type: 'node', id, attributes: { name: 'y' } } }],
      ['POST', `${at}/relationships/children`, children],
      ['POST', `/${hierarchy}/relationships/children`, children],
      ['PUT', `${at}/relationships/parent`, { data: { type: 'node', id: other } }],
      ['DELETE', `${at}/relationships/parent`],
      ['DELETE', at],
      ['DELETE', `/${hierarchy}`],
    ]
  }

  test('need a token; a reader only reads, a writer does the rest', async () => {
    for (const [method, path, body] of await routes()) {
      const bare = await answerOf(await stack.api.send(method, `/pcm/hierarchies${path}`, { token: null }))
      expect([method, path, said(bare)]).toEqual([
        method,
        path,
        { status: 401, body: { errors: [{ status: 401, title: 'Unable to validate access token' }] } },
      ])
      const asReader = await call(method, path, body, reader)
      expect([method, path, asReader.status]).toEqual([method, path, method === 'GET' ? 200 : 403])
    }
    for (const [method, path, body] of await routes()) {
      expect([method, path, (await call(method, path, body, writer)).status]).toEqual([
        method,
        path,
        expect.toSatisfy((n) => n < 300),
      ])
    }
  })

  test('that are not JSON are bad requests, and what is missing or wrong in them is named', async () => {
    for (const [method, path, body] of await routes()) {
      if (!body) continue
      const deep = '['.repeat(100_000)
      for (const text of [
        '',
        '{',
        'x',
        'null',
        '[]',
        '7',
        '{"data":{}}}',
        deep,
        Buffer.from([0x7b, 0xff, 0x7d]),
        '{"__proto__":{}}',
      ]) {
        const { status, body: answer } = await sendRaw(stack, method, path, text)
        expect([method, path, status, answer['errors'][0]]).toMatchObject([
          method,
          path,
          400,
          { status: '400', title: 'Bad Request' },
        ])
      }
      expect(said(await call(method, path, {}))).toEqual(failed('data can not be empty'))
      const asText = await call(method, path, body, { 'content-type': 'text/plain' })
      expect(asText).toMatchObject({ status: 415, body: { errors: [{ status: '415' }] } })
      const large = JSON.stringify({ ...body, padding: 'x'.repeat(300_000) })
      expect((await sendRaw(stack, method, path, large)).status).toBe(413)
    }
  })

  test('with attributes that cannot be kept are refused, each by its path', async () => {
    const hierarchy = await newHierarchy()
    const id = await newNode(hierarchy)
    const long = 'x'.repeat(256)
    const strange: readonly [object | null, string][] = [
      [{ name: '' }, 'data.attributes.name can not be empty'],
      [{ name: null }, 'data.attributes.name can not be empty'],
      [{ name: 7 }, 'data.attributes.name: Must be a string.'],
      [{ name: long }, 'data.attributes.name: Must not be longer than 255 characters.'],
      [{ name: 'a\0b' }, 'data.attributes.name: Must be well-formed text without NUL.'],
      [{ name: '\ud800' }, 'data.attributes.name: Must be well-formed text without NUL.'],
      [{ slug: '' }, 'data.attributes.slug can not be empty'],
      [{ slug: [] }, 'data.attributes.slug: Must be a string.'],
      [{ description: 'x'.repeat(1025) }, 'data.attributes.description: Must not be longer than 1024 characters.'],
      [{ colour: 'red' }, 'data.attributes: Must not have the member "colour".'],
      [{ locales: [] }, 'data.attributes.locales: Must be an object.'],
      [{ locales: { 'x y': {} } }, 'data.attributes.locales: The names of its members must be codes of languages.'],
      [{ locales: { fr: 'x' } }, 'data.attributes.locales.fr: Must be an object.'],
      [{ locales: { fr: { title: 'x' } } }, 'data.attributes.locales.fr: Must not have the member "title".'],
      [{ locales: { fr: { name: 1 } } }, 'data.attributes.locales.fr.name: Must be a string.'],
      [
        { locales: Object.fromEntries(Array.from({ length: 101 }, (_, n) => [`l${n}`, {}])) },
        'data.attributes.locales: Must not have more than 100 members.',
      ],
    ]
    for (const [attributes, detail] of strange) {
      const whole = { name: 'x', ...attributes }
      const answers = [
        await call('POST', '', { data: { type: 'hierarchy', attributes: whole } }),
        await call('PUT', `/${hierarchy}`, { data: { type: 'hierarchy', attributes } }),
        await call('POST', `/${hierarchy}/nodes`, { data: { type: 'node', attributes: whole } }),
        await call('PUT', `/${hierarchy}/nodes/${id}`, { data: { type: 'node', id, attributes } }),
      ]
      for (const answer of answers) expect([attributes, said(answer)]).toEqual([attributes, failed(detail)])
    }
    for (const type of ['hierarchy', 'node']) {
      const path = type === 'node' ? `/${hierarchy}/nodes` : ''
      const post = async (data: object) => said(await call('POST', path, { data }))
      expect(await post({ attributes: { name: 'x' } })).toEqual(failed('data.type can not be empty'))
      expect(await post({ type: 'file', attributes: { name: 'x' } })).toEqual(failed(`data.type: Must be "${type}".`))
      expect(await post({ type })).toEqual(failed('data.attributes can not be empty'))
      expect(await post({ type, attributes: {} })).toEqual(failed('data.attributes.name can not be empty'))
    }
    expect(await node(hierarchy, id)).toMatchObject({ attributes: { name: expect.not.stringMatching(/^x*$/) } })
  })

  test('keep what people write as they wrote it', async () => {
    const hierarchy = await newHierarchy()
    const words = [
      "Robert'); DROP TABLE nodes;--",
      '<script>alert(1)</script>',
      '日本語 ﷽ 👩‍👩‍👧',
      '{"a":"\\""}',
      '‮rtl',
      ' ',
      'constructor',
      '{},NULL',
    ]
    for (const word of words) {
      const attributes = {
        name: word,
        slug: word,
        description: word,
        locales: { constructor: { name: word, description: word } },
      }
      const id = await newNode(hierarchy, { attributes }, word)
      expect((await node(hierarchy, id))['attributes']).toEqual(attributes)
    }
    const kept = (await list(`/${hierarchy}/children`)).map(({ attributes }) => String(attributes['name']))
    expect(kept.toSorted()).toEqual(words.toSorted())
  })

  test('of other methods, to addresses that are not served, are told so in the same envelope', async () => {
    const hierarchy = await newHierarchy()
    const patched = await call('PATCH', `/${hierarchy}`, { data: {} })
    expect(patched).toMatchObject({ status: 405, body: { errors: [{ status: '405', title: 'Method Not Allowed' }] } })
    expect(patched.headers.get('allow')).toBe('DELETE, GET, HEAD, PUT')
    for (const path of ['duplicate_job', 'nodes/x/relationships/products', 'x']) {
      expect(said(await call('POST', `/${hierarchy}/${path}`, {}))).toEqual(NOT_FOUND)
    }
  })
})
