import Fastify, { type FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ErrorCode, ERRORS, SluiceError } from '@sluice/core'
import { elasticPath } from './index.ts'

const CODES = Object.keys(ERRORS) as readonly ErrorCode[]
const CATALOGUE = '/pcm/anything'
const FILES = '/v2/anything'

let app: FastifyInstance
beforeAll(() => {
  app = Fastify()
  app.setErrorHandler(elasticPath.answerError)
  for (const url of [CATALOGUE, FILES]) {
    app.get<{ Querystring: { code: ErrorCode } }>(url, async ({ query }) => {
      throw new SluiceError(query.code, undefined, {
        details: { missingIds: ['a'], version: 7 },
        cause: new Error('select secret'),
      })
    })
  }
})
afterAll(() => app.close())

const answerTo = async (url: string, code: ErrorCode) => {
  const { statusCode, headers, body } = await app.inject({ url, query: { code } })
  return { status: statusCode, headers, body, error: JSON.parse(body).errors[0] }
}

describe('errors of Elastic Path', () => {
  test.each(CODES)('%s has an envelope, and tells nothing of its cause', async (code) => {
    for (const url of [CATALOGUE, FILES]) {
      const { status, body, error, headers } = await answerTo(url, code)
      expect(headers['content-type']).toBe('application/json; charset=utf-8')
      expect(Object.keys(JSON.parse(body))).toEqual(['errors'])
      expect(Object.keys(error)).toEqual(expect.arrayContaining(['status', 'title']))
      expect(Number(error.status)).toBe(status)
      // Ours and the caller's faults stay what they are: a client repeats the former only.
      expect(status >= 500).toBe(ERRORS[code].status >= 500)
      expect(body).not.toContain('secret')
    }
  })

  test('have the status as a text in the catalogue, and as a number everywhere else', async () => {
    for (const code of ['product_unknown', 'main_image_changed', 'service_unavailable'] as const) {
      expect(typeof (await answerTo(CATALOGUE, code)).error.status).toBe('string')
      expect(typeof (await answerTo(FILES, code)).error.status).toBe('number')
    }
    const unable = { status: 401, title: 'Unable to validate access token' }
    for (const url of [CATALOGUE, FILES]) expect((await answerTo(url, 'token_invalid')).error).toEqual(unable)
  })

  test('that are ours name the request, in the log as well', async () => {
    const { error } = await answerTo(CATALOGUE, 'internal_error')
    expect(error).toEqual({
      status: '500',
      title: 'Internal Server Error',
      detail: 'There was an internal server error, you can report with your request id.',
      request_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    })
  })

  test('that pass say when to come again', async () => {
    const { status, headers } = await answerTo(CATALOGUE, 'service_unavailable')
    expect([status, headers['retry-after']]).toEqual([503, '3'])
  })

  test('that are conflicts are all one', async () => {
    for (const code of ['write_conflicted', 'main_image_changed', 'version_mismatched', 'order_incomplete'] as const) {
      const conflict = { status: '409', title: 'Conflict', detail: 'write conflict detected' }
      expect([code, (await answerTo(CATALOGUE, code)).error]).toEqual([code, conflict])
    }
  })

  test('name what is missing', async () => {
    expect((await answerTo(CATALOGUE, 'nodes_missing')).error.meta).toEqual({ missing_ids: ['a'] })
  })
})
