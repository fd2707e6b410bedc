import { createPublicKey, type KeyObject } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isUuid, oauth1Credentials, type TokenId } from '@sluice/core'
import { loadConfig, requireSecretKey, StartError, withDatabase } from '@sluice/runtime'
import { say } from './print.ts'

interface OAuthOptions {
  readonly publicKey?: string
}

/** Shows with what a client of OAuth 1.0a signs as this token. They follow from the token and the secret key: nothing is made. */
export async function oauthCommand(id: string, { publicKey: path }: OAuthOptions): Promise<void> {
  const pem = path === undefined ? null : await readPublicKey(path)
  const secretKey = await requireSecretKey(loadConfig())
  await withDatabase(async ({ tokens }, tenantId) => {
    const caller = isUuid(id) ? await tokens.findActive(id.toLowerCase() as TokenId) : null
    if (caller?.tenantId !== tenantId) throw new StartError(`There is no active token ${id}: "sluice token list" shows them all.`)
    if (pem !== null) await tokens.setPublicKey(tenantId, caller.tokenId, pem)
    const credentials = oauth1Credentials(secretKey, caller.tokenId)
    say(`Consumer key     ${credentials.consumerKey}`)
    say(`Consumer secret  ${credentials.consumerSecret}`)
    say(`Token            ${credentials.token}`)
    say(`Token secret     ${credentials.tokenSecret}`)
    if (pem !== null) say('RSA-SHA1 signatures are checked with the public key from now on.')
  })
}

/** As PEM. Of a private key only the public half: the other is none of ours. */
async function readPublicKey(path: string): Promise<string> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new StartError(`${path} cannot be read.`, error)
  })
  const key = parseKey(text)
  if (key?.asymmetricKeyType !== 'rsa') throw new StartError(`${path} is not the PEM file of an RSA public key.`)
  return key.export({ type: 'spki', format: 'pem' })
}

function parseKey(text: string): KeyObject | null {
  try {
    return createPublicKey(text)
  } catch {
    // Its message speaks of ASN.1; whoever calls says it in words.
    return null
  }
}
