import type { FastifyInstance } from 'fastify'
import { SluiceError } from '@sluice/core'

/**
 * Refuses what no route takes before its body is looked at: 404, or where only the method is wrong, 405 with the methods that
 * are right (RFC 9110 §15.5.6). Fastify itself answers 404 for both, and 415 when it cannot parse the body for the 404.
 */
export function refuseUnknownAddresses(app: FastifyInstance): void {
  const methods = new Map<string, Set<string>>()
  app.addHook('onRoute', ({ url, method, config }) => {
    if (config?.isMissing) return
    methods.set(url, (methods.get(url) ?? new Set()).union(new Set([method].flat())))
  })
  app.addHook('onRequest', async (request, reply) => {
    refuseUndecodable(request.url)
    if (!request.is404) return
    const segments = segmentsOf(request.url.split('?', 1)[0] ?? '')
    const allowed = new Set<string>()
    for (const [url, known] of methods) if (matches(segmentsOf(url), segments)) for (const method of known) allowed.add(method)
    if (allowed.size === 0) throw new SluiceError('route_unknown')
    const list = [...allowed].sort().join(', ')
    void reply.header('allow', list)
    throw new SluiceError('method_not_allowed', `${request.method} is not among the methods of this address: ${list}.`)
  })
}

/** What cannot be decoded would stand as it is in labels and filters: `%ff` as three characters. */
function refuseUndecodable(url: string): void {
  try {
    decodeURIComponent(url)
  } catch (cause) {
    throw new SluiceError('request_invalid', 'The address is not UTF-8 in percent-encoding.', { cause })
  }
}

/** With or without a slash at the end, as the router has it. */
function segmentsOf(path: string): readonly string[] {
  return path.replace(/\/$/, '').split('/')
}

function matches(pattern: readonly string[], segments: readonly string[]): boolean {
  if (pattern.at(-1) === '*')
    return segments.length >= pattern.length && matches(pattern.slice(0, -1), segments.slice(0, pattern.length - 1))
  if (pattern.length !== segments.length) return false
  return pattern.every((part, index) => (part.startsWith(':') ? segments[index] !== '' : part === segments[index]))
}
