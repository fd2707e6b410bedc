import { describe, expect, it } from 'vitest'
import { type HookMapping, mapEvent, mappingFaults } from './hook-mapping.ts'
import { checkValue, type HookValue, readPointer, readValue } from './hook-value.ts'
import { DEFAULT_LIMITS } from './limits.ts'
import { DEFAULT_ROLES } from './product-image.ts'

const RULES = {
  policy: { keepGps: false, roles: DEFAULT_ROLES, guestTenant: null, publicUrl: null },
  limits: DEFAULT_LIMITS,
}
const SMALL: HookMapping = { product: { sku: '/sku' }, source: { url: '/url' } }
const GOOD = { sku: 'shirt', url: 'https://shop.example/a.jpg' }

const map = (mapping: HookMapping, document: unknown, headers: Record<string, string> = {}) =>
  mapEvent(mapping, { headers, document }, RULES)

/** The one item of an event without a list. */
function itemOf(mapping: HookMapping, document: unknown, headers?: Record<string, string>) {
  const mapped = map(mapping, document, headers)
  const item = mapped.kind === 'items' ? mapped.items[0] : undefined
  if (!item) throw new Error(`no item: ${JSON.stringify(mapped)}`)
  return item
}

const faultsOf = (mapping: HookMapping, document: unknown) => {
  const item = itemOf(mapping, document)
  return item.kind === 'faulty' ? item.faults.map(({ field }) => field) : []
}

describe('a pointer', () => {
  // RFC 6901 §5.
  const document = { foo: ['bar', 'baz'], '': 0, 'a/b': 1, 'm~n': 8, ' ': 7, deep: { '0': 'zero' } }
  it.each([
    ['', document],
    ['/foo', ['bar', 'baz']],
    ['/foo/0', 'bar'],
    ['/', 0],
    ['/a~1b', 1],
    ['/m~0n', 8],
    ['/ ', 7],
    ['/deep/0', 'zero'],
  ])('%j finds what it names', (pointer, found) => {
    expect(readPointer(document, pointer)).toEqual(found)
  })
  it.each(['/foo/2', '/foo/00', '/foo/-', '/foo/length', '/constructor', '/foo/constructor', '/__proto__', '/a/b', '/foo/0/0'])(
    '%j finds nothing',
    (pointer) => {
      expect(readPointer(document, pointer)).toBeUndefined()
    },
  )
  it.each(['foo', '/a~2', '/~', ' /a'])('%j is none', (pointer) => {
    expect(checkValue(pointer)).toContain('JSON Pointer')
  })
})

describe('a pattern', () => {
  const take = (text: string, match: string, name: string) => {
    const value = { value: text, match, take: name }
    expect(checkValue(value)).toBeNull()
    return readValue(value, { headers: {}, event: null, item: null })
  }
  it.each([
    ['shirt-1_2.jpg', '{sku}_{n}.{type}', { sku: 'shirt-1', n: '2', type: 'jpg' }],
    ['a_b_3.jpg', '{sku}_{n}.{type}', { sku: 'a', n: 'b_3', type: 'jpg' }],
    ['photos/x/y.tar.gz', 'photos/{folder}/{name}.gz', { folder: 'x', name: 'y.tar' }],
    ['aXXb', '{a}X{b}', { a: 'a', b: 'Xb' }],
    ['.*', '{a}*', { a: '.' }],
  ])('takes %s apart as %s', (text, match, expected) => {
    for (const [name, found] of Object.entries(expected)) expect(take(text, match, name)).toEqual({ found })
  })
  it.each([
    ['shirt.jpg', '{sku}_{n}.jpg'],
    ['_1.jpg', '{sku}_{n}.jpg'],
    ['a_.jpg', '{sku}_{n}.jpg'],
    ['xa_1.jpg', 'a{sku}_{n}.jpg'],
    ['', '{sku}_{n}.jpg'],
  ])('does not find %j in the form of %s', (text, match) => {
    expect(take(text, match, 'sku')).toEqual({ fault: `${JSON.stringify(text)} does not look like ${match}` })
  })
  it.each<HookValue>([
    { at: '/a', match: '{a}' },
    { at: '/a', take: 'a' },
    { at: '/a', match: '{a}{b}', take: 'a' },
    { at: '/a', match: '{a}-{a}', take: 'a' },
    { at: '/a', match: '{a}', take: 'b' },
    { at: '/a', match: 'a}', take: 'a' },
    { at: '/a', match: '{a-b}', take: 'a-b' },
    { at: '/a', event: '/b' },
    {},
    { header: 'X-Topic' },
  ])('%j is no rule', (value) => {
    expect(checkValue(value)).not.toBeNull()
  })
  it('takes no longer for a text that almost fits', () => {
    const text = 'a_'.repeat(200_000)
    expect(take(text, '{a}_{b}_{c}_{d}!', 'a')).toHaveProperty('fault')
  })
})

describe('a mapping', () => {
  it('that is whole has no faults', () => {
    expect(mappingFaults(SMALL)).toEqual([])
    expect(mappingFaults({ completes_upload: '/key' })).toEqual([])
  })

  it('says all that it lacks', () => {
    expect(mappingFaults({ types: ['a'] }).map(({ field }) => field)).toEqual(['types', 'product', 'source'])
    expect(mappingFaults({ ...SMALL, completes_upload: '/key' }).map(({ field }) => field)).toEqual(['completes_upload'])
    const numbered = { ...SMALL, product: { number: '/n' }, park_seconds: 1 }
    expect(mappingFaults(numbered).map(({ field }) => field)).toEqual(['park_seconds'])
    const odd: HookMapping = { ...SMALL, each: 'x', when: [{ value: 'y', in: [1] }], image: { label: 'z' } }
    expect(
      mappingFaults(odd)
        .map(({ field }) => field)
        .sort(),
    ).toEqual(['each', 'image.label', 'when.0.value'])
  })

  it('finds products by SKU, id and number, and says what is no such thing', () => {
    const by = (product: HookMapping['product'], sku: unknown) =>
      itemOf({ ...SMALL, ...(product && { product }) }, { ...GOOD, sku })
    expect(by({ sku: '/sku' }, 12)).toMatchObject({ item: { product: { kind: 'sku', sku: '12' } } })
    const id = '0199a1b2-0000-7000-8000-00000000000A'
    expect(by({ id: '/sku' }, id)).toMatchObject({ item: { product: { kind: 'id', id: id.toLowerCase() } } })
    expect(by({ number: '/sku' }, '12')).toMatchObject({ item: { product: { kind: 'number', number: 12 } } })
    for (const sku of ['', null, undefined, true, {}, ['a'], 'a\0b', '\ud800']) {
      expect([sku, by({ sku: '/sku' }, sku)]).toMatchObject([sku, { kind: 'faulty', faults: [{ field: 'product.sku' }] }])
    }
    for (const sku of ['x', -1, 1.5]) expect(by({ number: '/sku' }, sku)).toMatchObject({ kind: 'faulty' })
  })

  it('takes whole addresses of http and https only', () => {
    for (const url of ['/a.jpg', 'ftp://a/b', 'javascript:x', 'shop.example/a.jpg', 7]) {
      expect([url, faultsOf(SMALL, { ...GOOD, url })]).toEqual([url, ['source.url']])
    }
    const prefixed = itemOf(
      { ...SMALL, source: { url: { at: '/url', prefix: 'https:' } } },
      { ...GOOD, url: '//cdn.example/a.jpg' },
    )
    expect(prefixed).toMatchObject({ item: { source: { url: 'https://cdn.example/a.jpg' } } })
  })

  it('places images as a request would, with all that is wrong at once', () => {
    const mapping = {
      ...SMALL,
      image: { label: '/l', position: '/p', roles: '/r', main: '/m', slot: '/s', excluded: { value: true } },
    }
    expect(itemOf(mapping, { ...GOOD, l: 'x', p: '2', r: ['thumbnail'], m: false, s: 7 })).toMatchObject({
      item: { placement: { label: 'x', rank: 2, roles: ['thumbnail'], main: false, slot: '7', excluded: true } },
    })
    expect(faultsOf(mapping, { ...GOOD, l: 1, p: 0, m: 'maybe' }).sort()).toEqual(['image.label', 'image.main', 'image.position'])
    expect(faultsOf(mapping, { ...GOOD, r: ['nobody'] })).toEqual(['image.roles'])
    expect(faultsOf(mapping, { l: 1 }).sort()).toEqual(['image.label', 'product.sku', 'source.url'])
  })

  it('reads the type from the event or a header, and passes over all others', () => {
    const mapping = { ...SMALL, type: { header: 'x-topic' }, types: ['a', 'b'] }
    expect(map(mapping, GOOD, { 'x-topic': 'b' }).kind).toBe('items')
    expect(map(mapping, GOOD, { 'x-topic': 'c' })).toEqual({ kind: 'ignored', because: 'The type is "c".' })
    expect(map(mapping, GOOD).kind).toBe('ignored')
  })

  it('goes through a list, whose items know the event around them', () => {
    const mapping = { ...SMALL, each: '/images', product: { sku: { event: '/sku' } } }
    const mapped = map(mapping, { sku: 'shirt', images: [{ url: GOOD.url }, {}, 7] })
    expect(mapped).toMatchObject({
      items: [
        { kind: 'wanted', path: '/images/0', item: { product: { sku: 'shirt' } } },
        { kind: 'faulty', path: '/images/1' },
        { kind: 'faulty', path: '/images/2' },
      ],
    })
    expect(map(mapping, { images: [] })).toEqual({ kind: 'items', items: [] })
    for (const images of [undefined, null, {}, 'x'])
      expect(map(mapping, { images })).toMatchObject({ items: [{ kind: 'faulty' }] })
    const many = Array.from({ length: DEFAULT_LIMITS.hookItemsMax + 1 }, () => ({}))
    expect(map(mapping, { images: many })).toMatchObject({ items: [{ kind: 'faulty', faults: [{ field: 'each' }] }] })
  })

  it('gives versions an order as texts, whether they are numbers, times or texts', () => {
    const version = (v: unknown) => {
      const item = itemOf({ ...SMALL, order_by: '/v' }, { ...GOOD, v })
      return item.kind === 'wanted' && item.item.kind === 'image' ? item.item.order?.version : undefined
    }
    const ordered = (versions: readonly unknown[]) => {
      const texts = versions.map((v) => version(v) ?? '')
      expect(texts.toSorted()).toEqual(texts)
      expect(new Set(texts).size).toBe(texts.length)
    }
    ordered([1, 9, 10, '11', 1_000_000])
    ordered(['2026-01-01T10:00:00+02:00', '2026-01-01T09:00:00Z', '2026-01-01T09:00:00.001Z'])
    ordered(['15CFEDF8D5304D1A', '15CFEDF8D5304D1B'])
    expect(faultsOf({ ...SMALL, order_by: '/v' }, GOOD)).toEqual(['order_by'])
  })
})
