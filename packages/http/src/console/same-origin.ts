import type { FastifyRequest } from 'fastify'

/**
 * True when a browser vouches that one of our own pages sent the request. SameSite=Strict is not enough: another port of the
 * same host is the same site. A page cannot set `Sec-Fetch-Site` (Fetch Metadata §2); browsers send it to https and to
 * localhost, and over plain HTTP there is `Origin` on every POST. `ownHost` is null where the Host header can be believed.
 */
export function isSameOrigin({ headers }: FastifyRequest, ownHost: string | null): boolean {
  const site = headers['sec-fetch-site']
  if (site !== undefined) return site === 'same-origin'
  const { origin } = headers
  return origin !== undefined && URL.canParse(origin) && new URL(origin).host === (ownHost ?? headers.host)
}
