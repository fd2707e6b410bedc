/**
 * OAuth 2 as Akeneo's clients speak it. A client is one of our tokens, by its id and its secret; the user, too: its name, and its
 * secret as the password. What is issued acts as the user's token.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Caller, hashToken, type IntakeWorld } from '@sluice/core'
import { refuseContentEncoding } from '../bodies/content-encoding.ts'
import { JSON_TYPE, textFields, URLENCODED } from '../bodies/text-fields.ts'
import type { DialectContext } from '../dialect.ts'
import { openGuessLimit } from '../guess-limit.ts'
import { authenticateClient, findBySecret, issueRefreshable, type RefreshableToken } from '../issue-access-token.ts'
import { fault, unprocessable } from './errors.ts'
import { requireContentType } from './headers.ts'

/** Akeneo's own bound: enough for the longest of its requests, and nothing to fill a memory with. */
const BODY_BYTES_MAX = 300

export async function tokenRoutes(app: FastifyInstance, { world }: DialectContext): Promise<void> {
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('*', { parseAs: 'buffer' }, async (_request: FastifyRequest, body: Buffer) => body)
  const guesses = await openGuessLimit(app)

  app.post('/api/oauth/v1/token', { config: { access: 'public' }, bodyLimit: BODY_BYTES_MAX }, async (request, reply) => {
    const field = fieldsOf(request)
    const grantType = field('grant_type')
    if (grantType === '') throw unprocessable(PARAMETER_MISSING)
    const find = () => findUser(world, grantType, credentialsOf(request, field), field)
    const user = await guesses.attempt(request, reply, find, tooMany)
    // RFC 6749 §5.1.
    void reply.headers({ 'cache-control': 'no-store', pragma: 'no-cache' })
    return tokenView(await issueRefreshable(world, user))
  })
}

type Field = (name: string) => string

interface ClientCredentials {
  readonly id: string
  readonly secret: string
}

const PARAMETER_MISSING = 'Parameter "grant_type", "username" or "password" is missing, empty or invalid'
const REFRESH_MISSING = 'Parameter "grant_type" or "refresh_token" is missing or empty'

/** Whom the request speaks for. Throws what Akeneo says, in its order: first the client, then the grant. */
async function findUser(world: IntakeWorld, grantType: string, client: ClientCredentials, field: Field): Promise<Caller> {
  const { tenantId } = await authenticateClient(world, client.id, client.secret)
  switch (grantType) {
    case 'password':
      return ofTenant(tenantId, await findByPassword(world, field), 'No user found for the given username and password')
    case 'refresh_token':
      return ofTenant(tenantId, await redeem(world, field), 'Refresh token is invalid or has expired')
    default:
      throw unprocessable('This grant type is not authorized for this client')
  }
}

async function findByPassword(world: IntakeWorld, field: Field): Promise<Caller | null> {
  const [username, password] = [field('username'), field('password')]
  if (username === '' || password === '') throw unprocessable(PARAMETER_MISSING)
  const user = await findBySecret(world, password)
  return user?.name === username ? user : null
}

async function redeem({ database }: IntakeWorld, field: Field): Promise<Caller | null> {
  const refreshToken = field('refresh_token')
  if (refreshToken === '') throw unprocessable(REFRESH_MISSING)
  return database.tokens.redeem(hashToken(refreshToken))
}

function ofTenant(tenantId: Caller['tenantId'], user: Caller | null, refusal: string): Caller {
  if (user?.tenantId !== tenantId) throw unprocessable(refusal)
  return user
}

function tooMany(waitSeconds: number): Error {
  return fault(429, `Too many requests. Try again in ${waitSeconds} seconds.`)
}

/** `Authorization: Basic`, or fields of the body (RFC 6749 §2.3.1). */
function credentialsOf({ headers }: FastifyRequest, field: Field): ClientCredentials {
  const encoded = /^basic +([A-Za-z0-9+/]+=*)$/i.exec(headers.authorization?.trim() ?? '')?.[1]
  if (encoded === undefined) return { id: field('client_id'), secret: field('client_secret') }
  const [id = '', ...secret] = Buffer.from(encoded, 'base64').toString('utf8').split(':')
  return { id, secret: secret.join(':') }
}

function fieldsOf(request: FastifyRequest): Field {
  refuseContentEncoding(request.headers)
  const body = Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0)
  if (body.length === 0) return () => ''
  return textFields(body, requireContentType(request, JSON_TYPE, URLENCODED))
}

function tokenView({ accessToken, refreshToken, expiresInMs }: RefreshableToken) {
  return {
    access_token: accessToken,
    expires_in: Math.floor(expiresInMs / 1000),
    token_type: 'bearer',
    scope: null,
    refresh_token: refreshToken,
  }
}
