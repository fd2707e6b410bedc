import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer } from '../api.ts'
import { openStack, type Stack } from '../stack.ts'
import { failed, newToken, OWNED, refused, said, treeWords } from './hierarchies.ts'

let stack: Stack
let writer: { authorization: string }
const { adopt, call, data, list, newHierarchy, newNode, node, nodeBody } = treeWords(() => stack)

beforeAll(async () => {
  stack = await openStack('embedded')
  writer = { authorization: `Bearer ${(await newToken(stack, 'writer')).secret}` }
})
afterAll(async () => stack?.[Symbol.asyncDispose]())

describe("what is the organization's", () => {
  const give = (path: string, type: string, owner: string) => {
    const id = path.split('/').at(-1)
    return call('PUT', path, { data: { type, id, attributes: {}, meta: { owner } } })
  }

  test('is read and not changed: a hierarchy with all that is in it', async () => {
    const hierarchy = await newHierarchy()
    const top = await newNode(hierarchy)
    const below = await newNode(hierarchy, { parent: top })
    expect(await data(200, give(`/${hierarchy}`, 'hierarchy', 'organization'))).toMatchObject({ meta: { owner: 'organization' } })
    const before = await list(`/${hierarchy}/nodes`)
    expect(before.map(({ meta }) => meta['owner'])).toEqual(['organization', 'organization'])
    const node = { data: { type: 'node', id: below, attributes: { name: 'x' } } }
    const changes: readonly (() => Promise<Answer>)[] = [
      () => call('PUT', `/${hierarchy}`, { data: { type: 'hierarchy', attributes: { name: 'x' } } }),
      () => call('DELETE', `/${hierarchy}`),
      () => call('POST', `/${hierarchy}/nodes`, nodeBody('x')),
      () => call('POST', `/${hierarchy}/nodes`, nodeBody('x', { parent: top })),
      () => call('PUT', `/${hierarchy}/nodes/${below}`, node),
      () => call('DELETE', `/${hierarchy}/nodes/${below}`),
      () => adopt(hierarchy, top, [{ id: below }]),
      () => adopt(hierarchy, null, [{ id: below }]),
      () => call('PUT', `/${hierarchy}/nodes/${below}/relationships/parent`, { data: { type: 'node', id: top } }),
      () => call('DELETE', `/${hierarchy}/nodes/${below}/relationships/parent`),
    ]
    for (const change of changes) expect(said(await change())).toEqual(OWNED)
    expect(await list(`/${hierarchy}/nodes`)).toEqual(before)
    expect(await data(200, give(`/${hierarchy}`, 'hierarchy', 'store'))).toMatchObject({ meta: { owner: 'store' } })
    expect((await call('DELETE', `/${hierarchy}`)).status).toBe(204)
  })

  test('is read and not changed: a node, whose children neither come nor go', async () => {
    const hierarchy = await newHierarchy()
    const top = await newNode(hierarchy)
    const owned = await newNode(hierarchy, { parent: top, meta: { owner: 'organization' } })
    const free = await newNode(hierarchy)
    expect((await node(hierarchy, owned))['meta'].owner).toBe('organization')
    const changes: readonly (() => Promise<Answer>)[] = [
      () => call('PUT', `/${hierarchy}/nodes/${owned}`, { data: { type: 'node', id: owned, meta: { sort_order: 1 } } }),
      () => call('POST', `/${hierarchy}/nodes`, nodeBody('x', { parent: owned })),
      () => adopt(hierarchy, owned, [{ id: free }]),
      () => adopt(hierarchy, free, [{ id: owned }]),
      () => call('DELETE', `/${hierarchy}/nodes/${owned}`),
      () => call('DELETE', `/${hierarchy}/nodes/${top}`),
      () => call('DELETE', `/${hierarchy}`),
    ]
    for (const change of changes) expect(said(await change())).toEqual(OWNED)
    expect((await give(`/${hierarchy}/nodes/${owned}`, 'node', 'store')).status).toBe(200)
    expect((await adopt(hierarchy, owned, [{ id: free }])).status).toBe(200)
  })

  test('is given and given back by admins only, and by nobody under another name', async () => {
    const owned = { data: { type: 'hierarchy', attributes: { name: 'x' }, meta: { owner: 'organization' } } }
    const FORBIDDEN = refused(403, 'Forbidden', { detail: expect.stringContaining('admin') })
    expect(said(await call('POST', '', owned, writer))).toEqual(FORBIDDEN)
    const id: string = (await data(201, call('POST', '', owned)))['id']
    const store = { data: { type: 'hierarchy', attributes: {}, meta: { owner: 'store' } } }
    expect(said(await call('PUT', `/${id}`, store, writer))).toEqual(FORBIDDEN)
    expect(said(await call('PUT', `/${id}`, owned, writer))).toEqual(OWNED)
    expect(said(await call('PUT', `/${id}`, owned))).toEqual(OWNED)
    expect((await call('PUT', `/${id}`, store)).status).toBe(200)
    expect((await call('PUT', `/${id}`, store, writer)).status).toBe(200)
    expect(said(await call('PUT', `/${id}`, owned, writer))).toEqual(FORBIDDEN)
    const node = nodeBody('x', { meta: { owner: 'organization' } })
    expect(said(await call('POST', `/${id}/nodes`, node, writer))).toEqual(FORBIDDEN)
    expect(said(await call('POST', `/${id}/nodes`, nodeBody('x', { meta: { owner: 'me' } })))).toEqual(
      failed('data.meta.owner: Must be "store" or "organization".'),
    )
  })
})
