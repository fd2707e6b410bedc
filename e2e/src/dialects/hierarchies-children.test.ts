import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openStack, type Stack } from '../stack.ts'
import { ABSENT, failed, idsOf, NOT_FOUND, said, sendRaw, treeWords } from './hierarchies.ts'

let stack: Stack
const { adopt, call, data, list, newHierarchy, newNode, node, nodeBody } = treeWords(() => stack)

beforeAll(async () => {
  stack = await openStack('embedded')
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

describe('children', () => {
  test('move below a node, with what lies below them, and the answer is the parent', async () => {
    const hierarchy = await newHierarchy()
    const [from, to] = [await newNode(hierarchy), await newNode(hierarchy)]
    const [a, b] = [await newNode(hierarchy, { parent: from }), await newNode(hierarchy)]
    const leaf = await newNode(hierarchy, { parent: a })
    const before = await node(hierarchy, to)
    expect(said(await adopt(hierarchy, to, [{ id: a }, { id: b }]))).toEqual({ status: 200, body: { data: before } })
    expect(await node(hierarchy, to)).toEqual(before)
    expect(idsOf(await list(`/${hierarchy}/nodes/${to}/children`)).toSorted()).toEqual([a, b].toSorted())
    expect(await list(`/${hierarchy}/nodes/${from}/children`)).toEqual([])
    expect(idsOf((await node(hierarchy, leaf))['meta'].breadcrumbs)).toEqual([hierarchy, to, a, leaf])
  })

  test('lie no deeper than a hierarchy may go, whether they are made there or moved', async () => {
    await using shallow = await openStack('embedded', { SLUICE_LIMIT_NODE_DEPTH_MAX: '3' })
    const words = treeWords(() => shallow)
    const hierarchy = await words.newHierarchy()
    const first = await words.newNode(hierarchy)
    const second = await words.newNode(hierarchy, { parent: first })
    const third = await words.newNode(hierarchy, { parent: second })
    const tooDeep = failed('A hierarchy may have 3 levels.')
    expect(said(await words.call('POST', `/${hierarchy}/nodes`, words.nodeBody('fourth', { parent: third })))).toEqual(tooDeep)
    const top = await words.newNode(hierarchy)
    expect(said(await words.adopt(hierarchy, top, [{ id: first }]))).toEqual(tooDeep)
    expect((await words.adopt(hierarchy, top, [{ id: second }])).status).toBe(200)
  })

  test('move to the root level, and the answer is the hierarchy', async () => {
    const hierarchy = await newHierarchy()
    const top = await newNode(hierarchy)
    const id = await newNode(hierarchy, { parent: top })
    const { status, body } = await adopt(hierarchy, null, [{ id, sortOrder: 1 }])
    expect([status, body['data']]).toEqual([200, await data(200, call('GET', `/${hierarchy}`))])
    expect(idsOf(await list(`/${hierarchy}/children`))).toEqual([id, top])
    expect((await node(hierarchy, id))['relationships']).not.toHaveProperty('parent')
  })

  test('have the sort order of the relationship where it has one, and keep theirs where it has none', async () => {
    const hierarchy = await newHierarchy()
    const parent = await newNode(hierarchy)
    const [a, b, c] = [
      await newNode(hierarchy, { meta: { sort_order: 10 } }),
      await newNode(hierarchy, { meta: { sort_order: 20 } }),
      await newNode(hierarchy),
    ]
    expect(
      (await adopt(hierarchy, parent, [{ id: a, sortOrder: 30 }, { id: b }, { id: c, sortOrder: -2_147_483_648 }])).status,
    ).toBe(200)
    const orders = (await list(`/${hierarchy}/nodes/${parent}/children`)).map(({ id, meta }) => [id, meta['sort_order']])
    expect(orders).toEqual([
      [a, 30],
      [b, 20],
      [c, -2_147_483_648],
    ])
  })

  test('refuse a parent that does not exist, or is in another hierarchy', async () => {
    const [hierarchy, other] = [await newHierarchy(), await newHierarchy()]
    const [child, strange] = [await newNode(hierarchy), await newNode(other)]
    for (const parent of [ABSENT, strange, 'none', '%00', child.replaceAll('-', '')]) {
      expect([parent, said(await adopt(hierarchy, parent, [{ id: child }]))]).toEqual([parent, NOT_FOUND])
    }
    for (const absent of [ABSENT, 'none']) expect(said(await adopt(absent, child, [{ id: child }]))).toEqual(NOT_FOUND)
    for (const absent of [ABSENT, 'none']) expect(said(await adopt(absent, null, [{ id: child }]))).toEqual(NOT_FOUND)
  })

  test('must all exist in the same hierarchy, or none moves, and those that are missing are named', async () => {
    const [hierarchy, other] = [await newHierarchy(), await newHierarchy()]
    const [parent, good, strange] = [await newNode(hierarchy), await newNode(hierarchy), await newNode(other)]
    const answer = await adopt(hierarchy, parent, [{ id: good, sortOrder: 1 }, { id: ABSENT }, { id: strange }, { id: 'none' }])
    expect(said(answer)).toEqual(failed('Not all of the nodes exist in the hierarchy', [ABSENT, strange, 'none']))
    expect(said(await adopt(hierarchy, null, [{ id: ABSENT }]))).toMatchObject({ status: 422 })
    expect(await list(`/${hierarchy}/nodes/${parent}/children`)).toEqual([])
    expect((await node(hierarchy, good))['meta']).not.toHaveProperty('sort_order')
  })

  test('are never the node itself, nor one above it', async () => {
    const hierarchy = await newHierarchy()
    const top = await newNode(hierarchy)
    const middle = await newNode(hierarchy, { parent: top })
    const leaf = await newNode(hierarchy, { parent: middle })
    const other = await newNode(hierarchy)
    for (const [parent, child] of [
      [leaf, leaf],
      [leaf, middle],
      [leaf, top],
      [middle, top],
    ] as const) {
      const answer = said(await adopt(hierarchy, parent, [{ id: other }, { id: child }]))
      expect(answer).toEqual(failed('A node cannot lie below itself'))
    }
    expect(idsOf(await list(`/${hierarchy}/children`)).toSorted()).toEqual([top, other].toSorted())
  })

  test('must have slugs and names of their own among their siblings, or none moves', async () => {
    const hierarchy = await newHierarchy()
    const parent = await newNode(hierarchy)
    await newNode(hierarchy, { parent, attributes: { slug: 'slug' } }, 'name')
    const [sameSlug, good] = [await newNode(hierarchy, { attributes: { slug: 'slug' } }), await newNode(hierarchy)]
    const sameName = await newNode(hierarchy, {}, 'name')
    const slugTaken = failed('data.attributes.slug: Must be unique amongst siblings.')
    expect(said(await adopt(hierarchy, parent, [{ id: good }, { id: sameSlug }]))).toEqual(slugTaken)
    expect(said(await adopt(hierarchy, parent, [{ id: good }, { id: sameName }]))).toEqual(
      failed('data.attributes.name: Must be unique amongst siblings.'),
    )
    // Two that come together, from two places.
    const twin = await newNode(hierarchy, { parent: good, attributes: { slug: 'twin' } })
    const otherTwin = await newNode(hierarchy, { attributes: { slug: 'twin' } })
    expect(said(await adopt(hierarchy, parent, [{ id: twin }, { id: otherTwin }]))).toEqual(slugTaken)
    expect(await list(`/${hierarchy}/nodes/${parent}/children`)).toHaveLength(1)
    // Who is there already is not in its own way.
    expect((await adopt(hierarchy, null, [{ id: sameSlug, sortOrder: 1 }])).status).toBe(200)
  })

  test('come as an array of nodes with ids, at most a hundred', async () => {
    const hierarchy = await newHierarchy()
    const [parent, child] = [await newNode(hierarchy), await newNode(hierarchy)]
    const post = async (body: unknown) =>
      said(await sendRaw(stack, 'POST', `/${hierarchy}/nodes/${parent}/relationships/children`, JSON.stringify(body)))
    const item = (more: object) => ({
      data: [
        { type: 'node', id: child },
        { type: 'node', id: child, ...more },
      ],
    })
    const order = failed('data[1].meta.sort_order: Must be a 32-bit integer.')
    const cases: readonly (readonly [unknown, object])[] = [
      [{}, failed('data can not be empty')],
      [{ data: null }, failed('data can not be empty')],
      [{ data: [] }, failed('data can not be empty')],
      [{ data: {} }, failed('data: Must be an array.')],
      [{ data: [null] }, failed('data[0]: Must be an object.')],
      [item({ id: undefined }), failed('data[1].id can not be empty')],
      [item({ id: '' }), failed('data[1].id can not be empty')],
      [item({ id: 7 }), failed('data[1].id: Must be an id.')],
      [item({ id: 'a\0b' }), failed('data[1].id: Must be an id.')],
      [item({ type: undefined }), failed('data[1].type can not be empty')],
      [item({ type: 'product' }), failed('data[1].type: Must be "node".')],
      [item({ meta: [] }), failed('data[1].meta: Must be an object.')],
      ...[1.5, '3', 2 ** 31, -(2 ** 31) - 1, true, {}].map((sort_order) => [item({ meta: { sort_order } }), order] as const),
      [
        { data: Array.from({ length: 101 }, () => ({ type: 'node', id: child })) },
        failed('data: Must not have more than 100 items.'),
      ],
    ]
    for (const [body, expected] of cases) expect([body, await post(body)]).toEqual([body, expected])
    expect(await list(`/${hierarchy}/nodes/${parent}/children`)).toEqual([])
    expect(await post(item({ meta: { sort_order: null } }))).toMatchObject({ status: 200 })
  })
})

describe('the parent', () => {
  const parentOf = (hierarchy: string, id: string) => `/${hierarchy}/nodes/${id}/relationships/parent`
  const put = (hierarchy: string, id: string, parent: unknown) =>
    call('PUT', parentOf(hierarchy, id), { data: { type: 'node', id: parent } })

  test('is changed, and taken away', async () => {
    const hierarchy = await newHierarchy()
    const [from, to] = [await newNode(hierarchy), await newNode(hierarchy)]
    const id = await newNode(hierarchy, { parent: from, meta: { sort_order: 4 } })
    expect(said(await put(hierarchy, id, to))).toEqual({ status: 204, body: { text: '' } })
    expect(await node(hierarchy, id)).toMatchObject({ relationships: { parent: { data: { id: to } } }, meta: { sort_order: 4 } })
    for (let times = 0; times < 2; times++) {
      expect(said(await call('DELETE', parentOf(hierarchy, id)))).toEqual({ status: 204, body: { text: '' } })
    }
    expect((await node(hierarchy, id))['relationships']).not.toHaveProperty('parent')
  })

  test('is another node of the same hierarchy, that does not lie below', async () => {
    const [hierarchy, other] = [await newHierarchy(), await newHierarchy()]
    const id = await newNode(hierarchy, { attributes: { slug: 'slug' } })
    const below = await newNode(hierarchy, { parent: id })
    const strange = await newNode(other)
    for (const parent of [ABSENT, strange, 'none']) {
      expect(said(await put(hierarchy, id, parent))).toEqual(
        failed('data.id: The node does not exist in this hierarchy.', [parent]),
      )
    }
    for (const parent of [id, below])
      expect(said(await put(hierarchy, id, parent))).toEqual(failed('A node cannot lie below itself'))
    for (const absent of [ABSENT, strange, 'none']) {
      expect(said(await put(hierarchy, absent, id))).toEqual(NOT_FOUND)
      expect(said(await call('DELETE', parentOf(hierarchy, absent)))).toEqual(NOT_FOUND)
    }
    expect(said(await put(hierarchy, id, ''))).toEqual(failed('data.id can not be empty'))
    const twin = await newNode(hierarchy, { parent: below, attributes: { slug: 'slug' } })
    expect(said(await call('DELETE', parentOf(hierarchy, twin)))).toEqual(
      failed('data.attributes.slug: Must be unique amongst siblings.'),
    )
  })

  test('may be named when the node is created, and must be there', async () => {
    const [hierarchy, other] = [await newHierarchy(), await newHierarchy()]
    const strange = await newNode(other)
    const detail = 'data.relationships.parent.data.id: The node does not exist in this hierarchy.'
    for (const parent of [ABSENT, strange, 'none']) {
      expect(said(await call('POST', `/${hierarchy}/nodes`, nodeBody('a', { parent })))).toEqual(failed(detail, [parent]))
    }
    expect(said(await call('POST', `/${ABSENT}/nodes`, nodeBody('a', { parent: strange })))).toEqual(NOT_FOUND)
    for (const relationships of [{}, null, { parent: null }, { parent: { data: null } }, { children: { data: [] } }]) {
      const made = await data(
        201,
        call('POST', `/${hierarchy}/nodes`, {
          data: { type: 'node', attributes: { name: JSON.stringify(relationships) }, relationships },
        }),
      )
      expect(made['relationships']).not.toHaveProperty('parent')
    }
    for (const relationships of [[], { parent: 'x' }, { parent: { data: [] } }, { parent: { data: { type: 'node' } } }]) {
      expect(
        (await call('POST', `/${hierarchy}/nodes`, { data: { type: 'node', attributes: { name: 'x' }, relationships } })).status,
      ).toBe(422)
    }
  })
})
