/** Bodies of this API: `{"data": …}` in JSON, looked at only by the routes that want one. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { essenceOf, SluiceError } from '@sluice/core'
import { refuseContentEncoding } from '../bodies/content-encoding.ts'
import { parseJson } from '../bodies/json-envelope.ts'
import { badRequest, failedValidation } from './errors.ts'

/** Kept as bytes: its own clients send a body with every DELETE, whether or not it means anything. */
export function keepBodies(app: FastifyInstance): void {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (_request: FastifyRequest, body: Buffer) => body)
}

/** The whole document. Throws for what is not JSON, and for what is no object. */
function documentOf(request: FastifyRequest): Readonly<Record<string, unknown>> {
  const document = parseJson(bytesOf(request, 'application/json'))
  if (!isRecord(document)) throw badRequest('The body must be a JSON object')
  return document
}

/** The member `data` as an object. */
export function dataOf(request: FastifyRequest): Readonly<Record<string, unknown>> {
  const { data } = documentOf(request)
  if (data === undefined || data === null) throw failedValidation('data can not be empty')
  if (!isRecord(data)) throw failedValidation('data: Must be an object.')
  return data
}

/** The member `data` as an object, or as an array of one. */
export function oneOf(request: FastifyRequest): Readonly<Record<string, unknown>> {
  const { data } = documentOf(request)
  if (!Array.isArray(data)) return dataOf(request)
  const [item] = listOf(request, 1)
  if (!item) throw failedValidation('data can not be empty')
  return item
}

/** The member `data` as an array, of at most `itemsMax` objects. */
export function listOf(request: FastifyRequest, itemsMax: number): readonly Readonly<Record<string, unknown>>[] {
  const { data } = documentOf(request)
  if (data === undefined || data === null) throw failedValidation('data can not be empty')
  if (!Array.isArray(data)) throw failedValidation('data: Must be an array.')
  if (data.length > itemsMax) throw failedValidation(`data: Must not have more than ${itemsMax} items.`)
  return data.map((item: unknown, index) => {
    if (!isRecord(item)) throw failedValidation(`data[${index}]: Must be an object.`)
    return item
  })
}

/** The id of a resource identifier; `at` is its JSON path. Any text may be an id: whether there is such a thing is asked later. */
export function identifierOf(data: Readonly<Record<string, unknown>>, type: string, at: string): string {
  const { id, type: given } = data
  if (given === undefined || given === null || given === '') throw failedValidation(`${at}.type can not be empty`)
  if (given !== type) throw failedValidation(`${at}.type: Must be "${type}".`)
  if (id === undefined || id === null || id === '') throw failedValidation(`${at}.id can not be empty`)
  if (typeof id !== 'string' || !isText(id) || id.length > ID_LENGTH_MAX) throw failedValidation(`${at}.id: Must be an id.`)
  return id
}

const ID_LENGTH_MAX = 255

/** PostgreSQL has no NUL, and no UTF-8 says half of a surrogate pair. */
export function isText(text: string): boolean {
  return !text.includes('\0') && text.isWellFormed()
}

/** An optional text; null where it is not given or null. */
export function textOf(value: unknown, at: string, lengthMax: number): string | null {
  if (value === undefined || value === null) return null
  if (typeof value !== 'string') throw failedValidation(`${at}: Must be a string.`)
  if (!isText(value)) throw failedValidation(`${at}: Must be well-formed text without NUL.`)
  if (value.length > lengthMax) throw failedValidation(`${at}: Must not be longer than ${lengthMax} characters.`)
  return value
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The bytes of the body. Throws unless it is declared as one of these types. */
export function bytesOf({ body, headers }: FastifyRequest, ...types: readonly string[]): Buffer {
  refuseContentEncoding(headers)
  const bytes = Buffer.isBuffer(body) ? body : Buffer.alloc(0)
  if (bytes.length > 0 && !types.includes(essenceOf(headers['content-type']) ?? '')) {
    throw new SluiceError('content_type_unsupported', `The Content-Type must be ${types.join(' or ')}.`)
  }
  return bytes
}
