/** What Akeneo asks of `Accept` and `Content-Type`, in its words. */
import type { FastifyRequest } from 'fastify'
import { fault } from './errors.ts'

const ANSWERS = new Set(['application/json', 'application/*', '*/*'])

/** Throws 406 when the client would not take JSON. */
export function requireJsonAccepted({ headers: { accept } }: FastifyRequest): void {
  if (!accept) return
  const ranges = accept.split(',').map((range) => range.split(';', 1)[0]?.trim().toLowerCase() ?? '')
  if (ranges.some((range) => ANSWERS.has(range))) return
  throw fault(406, `"${accept}" in "Accept" header is not valid. Only "application/json" is allowed.`)
}

/** Throws 415 unless the body is declared as one of these types. */
export function requireContentType({ headers }: FastifyRequest, ...types: readonly string[]): string {
  const [given = ''] = headers['content-type']?.split(';', 1) ?? []
  const list = types.map((type) => `"${type}"`).join(' or ')
  if (given.trim() === '') throw fault(415, `The "Content-Type" header is missing. ${list} has to be specified as value.`)
  const essence = given.trim().toLowerCase()
  if (types.includes(essence)) return essence
  throw fault(
    415,
    `"${given.trim()}" in "Content-Type" header is not valid. Only ${list} ${types.length === 1 ? 'is' : 'are'} allowed.`,
  )
}
