/** Elastic Path's own client, unmodified, for every call of it that touches hierarchies; and curl with the bodies of the documents. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { gateway, MemoryStorageFactory } from '@elasticpath/js-sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Json } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { ABSENT, idsOf, newToken, treeWords } from './hierarchies.ts'

let stack: Stack
let token: { id: string; secret: string }
const { newHierarchy, newNode, node, list } = treeWords(() => stack)

beforeAll(async () => {
  stack = await openStack('embedded')
  token = await newToken(stack, 'writer')
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

const run = promisify(execFile)

describe('npm @elasticpath/js-sdk', () => {
  type Client = ReturnType<typeof gateway>['Hierarchies']
  let client: Client

  beforeAll(() => {
    const options = {
      client_id: token.id,
      client_secret: token.secret,
      host: new URL(stack.api.url).host,
      // Its types leave this out.
      protocol: 'http',
      storage: new MemoryStorageFactory(),
    }
    client = gateway(options).Hierarchies
  })

  const wish = (name: string, parent?: string) => ({
    type: 'node' as const,
    attributes: { name, slug: name, description: `All ${name}`, locales: { fr: { name: `${name}!` } } },
    meta: { sort_order: 2 },
    ...(parent && { relationships: { parent: { data: { type: 'node', id: parent } } } }),
  })
  /** What the client throws: the body of the answer. */
  const fault = (call: Promise<unknown>): Promise<Json> =>
    call.then(
      (body) => expect.unreachable(JSON.stringify(body)),
      (body: Json) => body['errors'][0],
    )

  test('hierarchies: Create, Get, All, Update, Children, Delete', async () => {
    const attributes = { name: 'Shoes', description: 'All', slug: 'shoes' }
    const { data: made } = await client.Create({ type: 'hierarchy', attributes })
    expect(made).toMatchObject({ type: 'hierarchy', attributes, meta: { owner: 'store' } })
    expect(await client.Get(made.id)).toEqual({ data: made })
    expect(idsOf((await client.Limit(1).All()).data)).toEqual([made.id])
    expect((await client.Limit(1).Offset(1).All()).data).toEqual([])
    const { data: changed } = await client.Update(made.id, { type: 'hierarchy', attributes: { name: 'Boots' } })
    expect(changed).toMatchObject({ id: made.id, attributes: { ...attributes, name: 'Boots' } })
    const id = await newNode(made.id)
    await newNode(made.id, { parent: id })
    expect(idsOf((await client.Children(made.id)).data)).toEqual([id])
    await client.Delete(made.id)
    expect(await fault(client.Get(made.id))).toEqual({ title: 'Not Found', status: '404' })
  })

  test('nodes: Create, Get, All, Update, GetNodeChildren, Delete', async () => {
    const hierarchyId = await newHierarchy()
    const { data: top } = await client.Nodes.Create({ hierarchyId, body: wish('top') })
    const { data: below } = await client.Nodes.Create({ hierarchyId, body: wish('below', top.id) })
    expect(below).toMatchObject({ ...wish('below', top.id), meta: { parent_name: 'top', sort_order: 2 } })
    expect(await client.Nodes.Get({ hierarchyId, nodeId: below.id })).toEqual({ data: below })
    const { data: all, ...page } = await client.Nodes.All({ hierarchyId })
    expect([idsOf(all).toSorted(), page]).toMatchObject([[top.id, below.id].toSorted(), { meta: { results: { total: 2 } } }])
    const body = { type: 'node' as const, id: below.id, attributes: { name: 'changed' }, meta: { sort_order: 3 } }
    const { data: changed } = await client.Nodes.Update({ hierarchyId, nodeId: below.id, body })
    expect(changed).toMatchObject({ attributes: { ...below.attributes, name: 'changed' }, meta: { sort_order: 3 } })
    expect((await client.Nodes.GetNodeChildren({ hierarchyId, nodeId: top.id })).data).toEqual([changed])
    expect((await client.Nodes.Limit(1).Offset(1).GetNodeChildren({ hierarchyId, nodeId: top.id })).data).toEqual([])
    await client.Nodes.Delete({ hierarchyId, nodeId: top.id })
    expect((await client.Nodes.Limit(100).Offset(0).All({ hierarchyId })).data).toEqual([])
  })

  test('relationships: CreateChildrenSortOrder, ChangeParent, DeleteParent', async () => {
    const hierarchyId = await newHierarchy()
    const [top, a, b] = [await newNode(hierarchyId), await newNode(hierarchyId), await newNode(hierarchyId)]
    const child = (id: string, sort_order: number) => ({ type: 'node' as const, id, meta: { sort_order } })
    const answer: unknown = await client.Relationships.CreateChildrenSortOrder({
      hierarchyId,
      nodeId: top,
      body: [child(a, 2), child(b, 3)],
    })
    expect(answer).toEqual({ data: await node(hierarchyId, top) })
    expect(idsOf(await list(`/${hierarchyId}/nodes/${top}/children`))).toEqual([b, a])
    await client.Relationships.ChangeParent({ hierarchyId, nodeId: a, body: { type: 'node', id: b } })
    expect(idsOf(await list(`/${hierarchyId}/nodes/${b}/children`))).toEqual([a])
    await client.Relationships.DeleteParent({ hierarchyId, nodeId: a })
    expect(idsOf(await list(`/${hierarchyId}/children`)).toSorted()).toEqual([top, a].toSorted())
  })

  test('what is wrong is thrown as the API says it', async () => {
    const hierarchyId = await newHierarchy()
    const nodeId = await newNode(hierarchyId)
    const child = (id: string) => [{ type: 'node' as const, id, meta: { sort_order: 1 } }]
    const link = (id: string) => fault(client.Relationships.CreateChildrenSortOrder({ hierarchyId, nodeId, body: child(id) }))
    expect(await link(ABSENT)).toMatchObject({ status: '422', title: 'Failed Validation', meta: { missing_ids: [ABSENT] } })
    expect(await link(nodeId)).toMatchObject({ status: '422', title: 'Failed Validation' })
    const twin = { ...wish('twin'), meta: { sort_order: 1 } }
    await client.Nodes.Create({ hierarchyId, body: twin })
    expect(
      await fault(client.Nodes.Create({ hierarchyId, body: { ...twin, attributes: { name: 'x', slug: 'twin' } } })),
    ).toMatchObject({ status: '422', detail: 'data.attributes.slug: Must be unique amongst siblings.' })
    // The client sends products to the parent relationship here, whatever its caller means.
    const update = client.Relationships.Update({ hierarchyId, nodeId, body: [{ type: 'product', id: ABSENT }] })
    expect(await fault(update)).toMatchObject({ status: '422', detail: 'data.type: Must be "node".' })
  })

  test('what is not served is not found', async () => {
    const hierarchyId = await newHierarchy()
    const nodeId = await newNode(hierarchyId)
    const body = [{ type: 'product' as const, id: ABSENT }]
    const calls = [
      () => client.GetNodesByIds([nodeId]),
      () => client.Duplicate(hierarchyId, { type: 'hierarchy', attributes: {} }),
      () => client.Relationships.Products({ hierarchyId, nodeId }),
      () => client.Relationships.Create({ hierarchyId, nodeId, body }),
      () => client.Relationships.Delete({ hierarchyId, nodeId, body }),
    ]
    for (const call of calls) expect(await fault(call())).toEqual({ title: 'Not Found', status: '404' })
  })
})

describe('curl', () => {
  /** Status, media type and body of what curl is answered. */
  async function curl(method: string, path: string, body: string): Promise<readonly [string, string, Json]> {
    const headers = ['-H', 'Accept: application/json', '-H', `Authorization: Bearer ${token.secret}`]
    const sent = ['-H', 'Content-Type: application/json', '-d', body]
    const url = `${stack.api.url}/pcm/hierarchies${path}`
    const { stdout } = await run('curl', ['-s', '-X', method, ...headers, ...sent, '-w', '\n%{http_code}\n%{content_type}', url])
    const [text = '', status = '', type = ''] = stdout.split('\n')
    return [status, type, text === '' ? {} : (JSON.parse(text) as Json)]
  }

  test('sends the body of the document, and gets its answer', async () => {
    const hierarchy = await newHierarchy()
    const [parent, child] = [await newNode(hierarchy), await newNode(hierarchy)]
    const path = `/${hierarchy}/nodes/${parent}/relationships/children`
    const body = '{\n  "data": [\n    {\n      "id": "00000000-0000-0000-0000-000000000000",\n      "type": "node"\n    }\n  ]\n}'
    expect(await curl('POST', path, body)).toEqual([
      '422',
      'application/json; charset=utf-8',
      {
        errors: [
          {
            status: '422',
            title: 'Failed Validation',
            detail: 'Not all of the nodes exist in the hierarchy',
            meta: { missing_ids: [ABSENT] },
          },
        ],
      },
    ])
    expect(await curl('POST', path, body.replace(ABSENT, child))).toEqual([
      '200',
      'application/json; charset=utf-8',
      { data: await node(hierarchy, parent) },
    ])
    expect(idsOf(await list(`/${hierarchy}/nodes/${parent}/children`))).toEqual([child])
  })

  test('makes the hierarchy and the node of the document, as they stand there', async () => {
    const attributes = (name: string, slug: string, description: string, french: object) => ({
      name,
      description,
      slug,
      locales: { 'fr-FR': french },
    })
    const shoes = attributes('Shoes', 'shoes', 'Shoes Category', { name: 'Chaussures', description: 'Catégorie de chaussures' })
    const ballet = attributes('Ballet Shoes', 'ballet-shoes', 'Latest Ballet Shoes', {
      name: 'Chaussons de ballet',
      description: 'Dernières chaussures de ballet',
    })
    const [created, , { data: hierarchy }] = await curl(
      'POST',
      '',
      JSON.stringify({ data: { type: 'hierarchy', attributes: shoes } }),
    )
    expect([created, hierarchy.attributes]).toEqual(['201', shoes])
    const wish = { data: { type: 'node', attributes: ballet, meta: { sort_order: 5 } } }
    const [status, , { data }] = await curl('POST', `/${hierarchy.id}/nodes`, JSON.stringify(wish))
    const at = `/hierarchies/${hierarchy.id}/nodes/${data.id}`
    expect(status).toBe('201')
    expect(data).toMatchObject({
      ...wish.data,
      relationships: {
        children: { data: [], links: { related: `${at}/children` } },
        products: { data: [], links: { related: `${at}/products` } },
      },
      meta: { owner: 'store', sort_order: 5 },
    })
  })
})

describe('the examples of the page', () => {
  const E2E = resolve(import.meta.dirname, '../..')
  const PAGE = resolve(E2E, '../docs/dialects/elastic-path-hierarchies.md')

  /** The one block in this language, at the address of this stack. */
  async function exampleIn(language: string): Promise<string> {
    const [, block = ''] = (await readFile(PAGE, 'utf8')).split(`\`\`\`${language}\n`)
    return (block.split('```')[0] ?? '').replaceAll('127.0.0.1:8080', new URL(stack.api.url).host)
  }
  const environment = (more: object = {}) => ({
    cwd: E2E,
    env: { ...process.env, CLIENT_ID: token.id, CLIENT_SECRET: token.secret, ...more },
  })

  test('work in the client', async () => {
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', await exampleIn('js')], environment())
    expect(stdout.trim().split('\n').at(-1)).toBe('Ballet Shoes')
  })

  test('work in a shell', async () => {
    const hierarchy = await newHierarchy()
    const [parent, child] = [await newNode(hierarchy), await newNode(hierarchy)]
    const ids = environment({ HIERARCHY: hierarchy, PARENT: parent, CHILD: child })
    const { stdout } = await run('sh', ['-c', await exampleIn('sh')], ids)
    expect(JSON.parse(stdout)).toEqual({ data: await node(hierarchy, parent) })
    expect((await list(`/${hierarchy}/nodes/${parent}/children`)).map(({ id, meta }) => [id, meta.sort_order])).toEqual([
      [child, 3],
    ])
  })
})
