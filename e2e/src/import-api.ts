/** Imports as a client sees them. */
import { setTimeout as sleep } from 'node:timers/promises'
import { expect } from 'vitest'
import type { Api, Json } from './api.ts'

export type Row = Readonly<Record<string, unknown>>

export async function newImport(api: Api, options: object = {}): Promise<string> {
  const { status, body } = await api.call('POST', '/v1/imports', options)
  expect(status).toBe(201)
  return body['id']
}

export async function sendRows(api: Api, id: string, rows: Iterable<Row>, firstLine = 1): Promise<Json> {
  const body = [...rows].map((row) => JSON.stringify(row)).join('\n')
  const path = `/v1/imports/${id}/rows?first_line=${firstLine}`
  const answer = await api.send('POST', path, { body, headers: { 'content-type': 'application/x-ndjson' } })
  expect(answer.status).toBe(200)
  return (await answer.json()) as Json
}

/** Plans it; answers the rows of the plan. */
export async function planned(api: Api, id: string): Promise<Json[]> {
  expect((await api.call('POST', `/v1/imports/${id}/plan`)).status).toBe(200)
  return pages(api, `/v1/imports/${id}/plan?limit=1000`)
}

export function rowsOf(api: Api, id: string): Promise<Json[]> {
  return pages(api, `/v1/imports/${id}/rows?limit=1000`)
}

async function pages(api: Api, path: string): Promise<Json[]> {
  const items: Json[] = []
  for (let next: string | null = path; next !== null;) {
    const { status, body } = await api.call('GET', next)
    expect(status).toBe(200)
    items.push(...(body['items'] as Json[]))
    next = body['next'] as string | null
  }
  return items
}

/** Applies it and follows it until it rests. */
export async function applied(api: Api, id: string, body: object = {}): Promise<Json> {
  const { status } = await api.call('POST', `/v1/imports/${id}/apply`, body)
  expect(status).toBe(202)
  return settled(api, id)
}

const DEADLINE_MS = 120_000

export async function settled(api: Api, id: string): Promise<Json> {
  const until = Date.now() + DEADLINE_MS
  for (;;) {
    const { body } = await api.call('GET', `/v1/imports/${id}`)
    if (['stopped', 'finished', 'undone'].includes(body['state'] as string)) return body
    if (Date.now() > until) throw new Error(`the import is still ${body['state']}: ${JSON.stringify(body['counts'])}`)
    await sleep(50)
  }
}
