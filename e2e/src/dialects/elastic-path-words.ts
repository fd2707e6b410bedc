/** How Elastic Path's requests and errors look. */
import type { Answer, Json } from '../api.ts'

export const mainImage = (product: string) => `/pcm/products/${product}/relationships/main_image`
export const files = (product: string) => `/pcm/products/${product}/relationships/files`
export const fileOf = (id: string) => ({ data: { type: 'file', id } })
export const filesOf = (...ids: readonly string[]) => ({ data: ids.map((id) => ({ type: 'file', id })) })
export const as = (secret: string) => ({ authorization: `Bearer ${secret}` })

export const NOT_FOUND = { status: '404', title: 'Not Found' }
export const OWNED = { status: '403', title: 'Forbidden', detail: 'entity owned by organization' }
export const CONFLICT = { status: '409', title: 'Conflict', detail: 'write conflict detected' }
export const invalid = (detail: string, ...missing: readonly string[]) => ({
  status: '422',
  title: 'Failed Validation',
  detail,
  ...(missing.length > 0 && { meta: { missing_ids: missing } }),
})

/** The one error of an answer; all of the answer where it does not look as an error should. */
export function errorOf(answer: Answer | undefined): Json {
  if (!answer) return {}
  const { status, headers, body } = answer
  const [error, ...more]: readonly Json[] = body['errors'] ?? []
  const isJson = headers.get('content-type') === 'application/json; charset=utf-8'
  const isOne = error !== undefined && more.length === 0 && Object.keys(body).length === 1
  return isOne && isJson && Number(error['status']) === status ? error : { status, body, headers: [...headers] }
}
