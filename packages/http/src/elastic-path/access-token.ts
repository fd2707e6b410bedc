/** A short-lived token for the id and the secret of one of ours. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { essenceOf, SluiceError } from '@sluice/core'
import { type DialectContext, WireFault } from '../dialect.ts'
import { type GuessLimit, openGuessLimit } from '../guess-limit.ts'
import { type AccessToken, issueAccessToken } from '../issue-access-token.ts'
import { bytesOf, documentOf } from './body.ts'
import { badRequest, type Wire } from './errors.ts'

const URLENCODED = 'application/x-www-form-urlencoded'

export function accessTokenRoutes(app: FastifyInstance, { world }: DialectContext): void {
  void app.register(async (scope) => {
    const guesses = await openGuessLimit(scope)
    scope.post('/oauth/access_token', { config: { access: 'public' } }, async (request, reply) => {
      const field = fieldsOf(request)
      const grantType = field('grant_type')
      if (grantType !== GRANT_TYPE) throw badRequest(refusalOf(grantType))
      const credentials = { id: field('client_id'), secret: field('client_secret') }
      const waitSeconds = await guesses.waitSeconds(request)
      if (waitSeconds > 0) {
        void reply.header('retry-after', waitSeconds)
        throw new WireFault<Wire>({ status: 429, title: 'Too Many Requests' })
      }
      const issued = await issueAccessToken(world, credentials.id, credentials.secret).catch(counting(guesses, request))
      // RFC 6749 §5.1.
      return reply.header('cache-control', 'no-store').send(tokenView(issued))
    })
  })
}

const GRANT_TYPE = 'client_credentials'

function refusalOf(grantType: string): string {
  // The id of a client is no secret, so it alone opens nothing.
  return grantType === 'implicit'
    ? 'The grant type implicit is not offered: send client_credentials with client_id and client_secret'
    : `grant_type: Must be "${GRANT_TYPE}".`
}

function counting(guesses: GuessLimit, request: FastifyRequest): (error: unknown) => Promise<never> {
  return async (error) => {
    if (SluiceError.is(error, 'credentials_invalid')) await guesses.countFailure(request)
    throw error
  }
}

/** Looks fields up in a form or a JSON document. */
function fieldsOf(request: FastifyRequest): (name: string) => string {
  const isForm = essenceOf(request.headers['content-type']) === URLENCODED
  const form = isForm ? new URLSearchParams(bytesOf(request, URLENCODED).toString('utf8')) : null
  const document = form ? {} : documentOf(request)
  return (name) => {
    const value = form ? form.get(name) : document[name]
    if (typeof value !== 'string' || value === '') throw badRequest(`${name} can not be empty`)
    return value
  }
}

function tokenView({ accessToken, expiresInMs, expiresAt }: AccessToken) {
  return {
    access_token: accessToken,
    token_type: 'Bearer',
    expires_in: Math.floor(expiresInMs / 1000),
    expires: Math.floor(expiresAt.getTime() / 1000),
    identifier: GRANT_TYPE,
  }
}
