import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStack, type Stack } from '../stack.ts'
import { ABSENT, failed, idsOf, NOT_FOUND, refused, said, TIME, treeWords } from './hierarchies.ts'

let stack: Stack
const { call, data, list, newHierarchy, newNode, node, nodeBody } = treeWords(() => stack)

beforeAll(async () => {
  stack = await openStack('embedded')
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

const FILTER_UNKNOWN = refused(400, 'Bad Request', { detail: 'Could not parse the supplied filter' })

describe('hierarchies', () => {
  const ATTRIBUTES = {
    name: 'Shoes',
    description: 'Shoes Category',
    slug: 'shoes',
    locales: { 'fr-FR': { name: 'Chaussures', description: 'Catégorie de chaussures' } },
  }
  const body = (attributes: object, more: object = {}) => ({ data: { type: 'hierarchy', attributes, ...more } })

  test('are created, read, changed in part and deleted', async () => {
    const made = await data(201, call('POST', '', body(ATTRIBUTES)))
    const id: string = made['id']
    expect(made).toEqual({
      type: 'hierarchy',
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      attributes: ATTRIBUTES,
      relationships: { children: { data: [], links: { related: `/hierarchies/${id}/children` } } },
      meta: { created_at: TIME, updated_at: TIME, owner: 'store' },
    })
    expect(await data(200, call('GET', `/${id}`))).toEqual(made)
    const changed = await data(200, call('PUT', `/${id}`, body({ name: 'Boots', description: null }, { id })))
    const { description: _, ...rest } = ATTRIBUTES
    expect(changed).toEqual({ ...made, attributes: { ...rest, name: 'Boots' }, meta: { ...made['meta'], updated_at: TIME } })
    expect(await data(200, call('PUT', `/${id}`, body({})))).toEqual(changed)
    const read = { ...changed, attributes: { ...changed['attributes'], updated_at: 'x' } }
    expect((await data(200, call('PUT', `/${id}`, { data: read })))['attributes']).toEqual(changed['attributes'])
    expect(said(await call('DELETE', `/${id}`))).toEqual({ status: 204, body: { text: '' } })
    for (const method of ['GET', 'DELETE'] as const) expect(said(await call(method, `/${id}`))).toEqual(NOT_FOUND)
    expect(said(await call('PUT', `/${id}`, body({ name: 'x' })))).toEqual(NOT_FOUND)
  })

  test('go with all their nodes', async () => {
    const hierarchy = await newHierarchy()
    const parent = await newNode(hierarchy)
    const child = await newNode(hierarchy, { parent })
    expect((await call('DELETE', `/${hierarchy}`)).status).toBe(204)
    for (const id of [parent, child]) expect(said(await call('GET', `/${hierarchy}/nodes/${id}`))).toEqual(NOT_FOUND)
  })

  test('are listed newest first, by pages', async () => {
    const made = [await newHierarchy(), await newHierarchy(), await newHierarchy()].toReversed()
    const { body: page } = await call('GET', '?page[limit]=2&page[offset]=1')
    expect(idsOf(page['data'])).toEqual(made.slice(1, 3))
    expect(page['meta'].results.total).toBeGreaterThanOrEqual(3)
    expect(page['links'].first).toContain('page[offset]=0&page[limit]=2')
    expect(idsOf(await list('', 2)).slice(0, 3)).toEqual(made)
    for (const query of ['page[limit]=0', 'page[limit]=101', 'page[limit]=x', 'page[offset]=-1', 'page[offset]=10001']) {
      expect([query, (await call('GET', `?${query}`)).status]).toEqual([query, 400])
    }
    expect(said(await call('GET', '?filter=eq(name,Shoes)'))).toEqual(FILTER_UNKNOWN)
  })
})

describe('nodes', () => {
  const ATTRIBUTES = {
    name: 'Ballet Shoes',
    description: 'Latest Ballet Shoes',
    slug: 'ballet-shoes',
    locales: { 'fr-FR': { name: 'Chaussons de ballet', description: 'Dernières chaussures de ballet' }, 'de-DE': {} },
  }

  test('look as in the documents, at the root level and below', async () => {
    const hierarchy = await newHierarchy({ slug: 'shoes' })
    const made = await data(
      201,
      call('POST', `/${hierarchy}/nodes`, nodeBody('Ballet Shoes', { attributes: ATTRIBUTES, meta: { sort_order: 5 } })),
    )
    const id: string = made['id']
    const at = `/hierarchies/${hierarchy}/nodes/${id}`
    expect(made).toEqual({
      type: 'node',
      id,
      attributes: ATTRIBUTES,
      relationships: {
        children: { data: [], links: { related: `${at}/children` } },
        products: { data: [], links: { related: `${at}/products` } },
      },
      meta: {
        created_at: TIME,
        updated_at: TIME,
        owner: 'store',
        sort_order: 5,
        hierarchy_id: hierarchy,
        breadcrumbs: [
          { id: hierarchy, name: 'Shoes', slug: 'shoes' },
          { id, name: 'Ballet Shoes', slug: 'ballet-shoes' },
        ],
      },
    })
    expect(await node(hierarchy, id)).toEqual(made)

    const below = await node(hierarchy, await newNode(hierarchy, { parent: id }, 'Below'))
    expect(below['attributes']).toEqual({ name: 'Below' })
    expect(below['relationships'].parent).toEqual({ data: { type: 'node', id } })
    expect(below['meta']).toMatchObject({
      parent_name: 'Ballet Shoes',
      breadcrumbs: [{ id: hierarchy }, { id }, { id: below['id'], name: 'Below' }],
    })
    expect(below['meta']).not.toHaveProperty('sort_order')
  })

  test('change in what is given, and only under their own id', async () => {
    const hierarchy = await newHierarchy()
    const id = await newNode(hierarchy, { attributes: ATTRIBUTES, meta: { sort_order: 2 } }, 'a')
    const put = (more: object) => call('PUT', `/${hierarchy}/nodes/${id}`, { data: { type: 'node', id, ...more } })
    const changed = await data(200, put({ attributes: { name: 'b', slug: null }, meta: { sort_order: -7 } }))
    const { slug: _, ...rest } = ATTRIBUTES
    expect(changed['attributes']).toEqual({ ...rest, name: 'b' })
    expect(changed['meta'].sort_order).toBe(-7)
    expect((await data(200, put({ meta: { sort_order: null } })))['meta']).not.toHaveProperty('sort_order')
    // As it was read, with members that only the server writes.
    const read = await node(hierarchy, id)
    expect(await data(200, put(read))).toEqual({ ...read, meta: { ...read['meta'], updated_at: TIME } })

    const other = await newNode(hierarchy)
    expect(said(await put({ id: other, attributes: { name: 'x' } }))).toEqual(
      failed('data.id: Must be the id of the node in the path.'),
    )
    for (const nothing of [undefined, null, '']) {
      expect(said(await put({ id: nothing, attributes: { name: 'x' } }))).toEqual(failed('data.id can not be empty'))
    }
    expect(await node(hierarchy, id)).toMatchObject({ attributes: { name: 'b' } })
  })

  test('go with all that lies below them', async () => {
    const hierarchy = await newHierarchy()
    const [top, other] = [await newNode(hierarchy), await newNode(hierarchy)]
    const middle = await newNode(hierarchy, { parent: top })
    const leaf = await newNode(hierarchy, { parent: middle })
    expect(said(await call('DELETE', `/${hierarchy}/nodes/${top}`))).toEqual({ status: 204, body: { text: '' } })
    for (const id of [top, middle, leaf]) expect(said(await call('GET', `/${hierarchy}/nodes/${id}`))).toEqual(NOT_FOUND)
    expect(said(await call('DELETE', `/${hierarchy}/nodes/${top}`))).toEqual(NOT_FOUND)
    expect(idsOf(await list(`/${hierarchy}/nodes`))).toEqual([other])
  })

  test('are listed at every depth, at the root level, and below a node', async () => {
    const hierarchy = await newHierarchy()
    const [a, b] = [await newNode(hierarchy, { meta: { sort_order: 1 } }), await newNode(hierarchy, { meta: { sort_order: 2 } })]
    const below = [await newNode(hierarchy, { parent: a, meta: { sort_order: 1 } })]
    for (const sort_order of [2, 3]) below.unshift(await newNode(hierarchy, { parent: a, meta: { sort_order } }))
    expect(idsOf(await list(`/${hierarchy}/nodes`, 2)).toSorted()).toEqual([a, b, ...below].toSorted())
    expect(idsOf(await list(`/${hierarchy}/children`, 1))).toEqual([b, a])
    expect(idsOf(await list(`/${hierarchy}/nodes/${a}/children`, 2))).toEqual(below)
    expect(await list(`/${hierarchy}/nodes/${b}/children`)).toEqual([])
    expect((await list(`/${hierarchy}/nodes/${a}/children`))[0]).toEqual(await node(hierarchy, below[0] ?? ''))
  })

  test('is 400 for a page or a filter that it does not know, and 404 where nothing is', async () => {
    const hierarchy = await newHierarchy()
    const id = await newNode(hierarchy)
    for (const path of [`/${hierarchy}/nodes`, `/${hierarchy}/children`, `/${hierarchy}/nodes/${id}/children`]) {
      expect(said(await call('GET', `${path}?filter=eq(name,x)`))).toEqual(FILTER_UNKNOWN)
      for (const page of ['page[limit]=0', 'page[offset]=x']) expect((await call('GET', `${path}?${page}`)).status).toBe(400)
      for (const absent of [ABSENT, 'none']) {
        expect(said(await call('GET', path.replace(hierarchy, absent)))).toEqual(NOT_FOUND)
        expect(said(await call('GET', `/${hierarchy}/nodes/${absent}/children`))).toEqual(NOT_FOUND)
      }
    }
  })

  test('have names and slugs that are unique among siblings, and nowhere else', async () => {
    const hierarchy = await newHierarchy()
    const parent = await newNode(hierarchy, { attributes: { slug: 'slug' } }, 'name')
    const create = (name: string, slug: string, at?: string) =>
      call('POST', `/${hierarchy}/nodes`, nodeBody(name, { attributes: { slug }, parent: at ?? null }))
    expect(said(await create('name', 'other'))).toEqual(failed('data.attributes.name: Must be unique amongst siblings.'))
    expect(said(await create('other', 'slug'))).toEqual(failed('data.attributes.slug: Must be unique amongst siblings.'))
    expect((await create('name', 'slug', parent)).status).toBe(201)
    const second = await newNode(hierarchy, { attributes: { slug: 'free' } }, 'second')
    const put = (attributes: object) =>
      call('PUT', `/${hierarchy}/nodes/${second}`, { data: { type: 'node', id: second, attributes } })
    expect(said(await put({ slug: 'slug' }))).toEqual(failed('data.attributes.slug: Must be unique amongst siblings.'))
    expect(said(await put({ name: 'name' }))).toEqual(failed('data.attributes.name: Must be unique amongst siblings.'))
    expect((await put({ name: 'second', slug: 'free' })).status).toBe(200)
  })

  test('are promoted products that there are', async () => {
    const hierarchy = await newHierarchy()
    const products = await Promise.all([1, 2, 3].map(async () => (await stack.api.newProduct()).split('/').at(-1) ?? ''))
    const id = await newNode(hierarchy, { attributes: { curated_products: products } })
    expect((await node(hierarchy, id))['attributes'].curated_products).toEqual(products)
    const curate = (curated_products: unknown) =>
      call('POST', `/${hierarchy}/nodes`, nodeBody('curated', { attributes: { curated_products } }))
    const detail = 'data.attributes.curated_products: Not all of the products exist.'
    expect(said(await curate([products[0], ABSENT, 'x']))).toEqual(failed(detail, [ABSENT, 'x']))
    expect((await curate(Array.from({ length: 21 }, () => products[0]))).status).toBe(422)
    for (const strange of ['x', {}, [1], [null], [{}]]) expect((await curate(strange)).status).toBe(422)
  })
})
