/** A short-lived token for the id and the secret of one of ours. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { essenceOf } from '@sluice/core'
import { JSON_TYPE, textFields, URLENCODED } from '../bodies/text-fields.ts'
import { type DialectContext, WireFault } from '../dialect.ts'
import { openGuessLimit } from '../guess-limit.ts'
import { type AccessToken, issueAccessToken } from '../issue-access-token.ts'
import { bytesOf } from './body.ts'
import { badRequest, type Wire } from './errors.ts'

export function accessTokenRoutes(app: FastifyInstance, { world }: DialectContext): void {
  void app.register(async (scope) => {
    const guesses = await openGuessLimit(scope)
    scope.post('/oauth/access_token', { config: { access: 'public' } }, async (request, reply) => {
      const field = fieldsOf(request)
      const grantType = field('grant_type')
      if (grantType !== GRANT_TYPE) throw badRequest(refusalOf(grantType))
      const credentials = { id: field('client_id'), secret: field('client_secret') }
      const issue = () => issueAccessToken(world, credentials.id, credentials.secret)
      const issued = await guesses.attempt(request, reply, issue, tooMany)
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

function tooMany(): Error {
  return new WireFault<Wire>({ status: 429, title: 'Too Many Requests' })
}

/** Looks up fields that must be there. */
function fieldsOf(request: FastifyRequest): (name: string) => string {
  const field = textFields(bytesOf(request, URLENCODED, JSON_TYPE), essenceOf(request.headers['content-type']))
  return (name) => {
    const value = field(name)
    if (value === '') throw badRequest(`${name} can not be empty`)
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
