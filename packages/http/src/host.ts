/** What a client calls us. Addresses in answers are made of it where `SLUICE_PUBLIC_URL` is not set, so it must be something to call. */
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type IntakeWorld, SluiceError } from '@sluice/core'

/** A name, an IPv4 address or an IPv6 address in brackets, and a port. Names with `_` are no host names, and yet used in containers. */
const HOST = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(:\d{1,5})?$/i

/** RFC 9112 §3.2: 400 for a Host that is none, or is given twice. HTTP/1.0 has none, which is fine where nothing is made of it. */
export function refuseAbsurdHosts(app: FastifyInstance, { policy }: Pick<IntakeWorld, 'policy'>): void {
  app.addHook('onRequest', async (request) => {
    const { host } = request.headers
    const isGood = host === undefined ? policy.publicUrl !== null : isHost(host) && countHosts(request) === 1
    if (!isGood) {
      throw new SluiceError('request_invalid', 'The Host header must be the name of a host, and may have a port.')
    }
  })
}

/** Node keeps the first of several. */
function countHosts({ raw }: FastifyRequest): number {
  return raw.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host').length
}

function isHost(text: string): boolean {
  return HOST.test(text) && URL.canParse(`http://${text}`)
}

/**
 * The address that clients know us by, without a slash at its end. `X-Forwarded-Host` is believed from nobody: proxies pass it on as
 * it came, where they write the others themselves.
 */
export function publicUrl(request: FastifyRequest, { policy }: Pick<IntakeWorld, 'policy'>): string {
  const protocol = request.protocol === 'https' ? 'https' : 'http'
  return policy.publicUrl ?? `${protocol}://${request.headers.host ?? ''}`
}

/** RFC 9112 §3.2.2: a server takes whole addresses, too. Of one that has a host, what comes after it. */
export function pathOf(target: string): string {
  const rest = /^https?:\/\/[^/?#]*(.*)$/is.exec(target)?.[1]
  if (rest === undefined) return target
  return rest.startsWith('/') ? rest : `/${rest}`
}
