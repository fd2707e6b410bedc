import type { LookupAddress } from 'node:dns'
import { Resolver } from 'node:dns/promises'
import type { LookupFunction } from 'node:net'
import { callbackify } from 'node:util'
import { isPublicAddress } from './public-address.ts'
import { notPublic } from './target.ts'
import { unavailable } from './unreachable.ts'

/** All addresses of a name; none, or an error with the code of `node:dns`, when there are none. */
export type Resolve = (hostname: string) => Promise<readonly LookupAddress[]>

/**
 * Asks the name servers, not the system: the system's resolver knows the machine's own names, tries its search domains, and holds
 * one of the few threads that files need as well for as long as a stranger's name server likes to be silent.
 */
export function openResolve(): Resolve {
  const resolver = new Resolver({ timeout: 3_000, tries: 2 })
  return async (hostname) => {
    const [v4, v6] = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)])
    const found = [...addressesOf(v4, 4), ...addressesOf(v6, 6)]
    if (found.length === 0 && v4.status === 'rejected') throw v4.reason
    return found
  }
}

function addressesOf(answer: PromiseSettledResult<string[]>, family: 4 | 6): LookupAddress[] {
  return answer.status === 'fulfilled' ? answer.value.map((address) => ({ address, family })) : []
}

/**
 * Hands on the very addresses that were checked, so that a name cannot lead elsewhere between the check and the connection. One
 * that is not public condemns all: nobody serves files from both sides.
 */
export function guardedLookup(resolve: Resolve): LookupFunction {
  const look = callbackify((hostname: string) => checked(resolve, hostname))
  return (hostname, options, callback) =>
    look(hostname, (error, found) => {
      if (error) callback(error, [])
      else if (options.all) callback(null, found)
      else callback(null, found[0].address, found[0].family)
    })
}

async function checked(resolve: Resolve, hostname: string): Promise<[LookupAddress, ...LookupAddress[]]> {
  const [first, ...rest] = await resolve(hostname).catch((error: unknown) => {
    throw isAbsence(error) ? notPublic(error) : unavailable('Its name cannot be looked up now.', { cause: error })
  })
  if (!first || ![first, ...rest].every(({ address }) => isPublicAddress(address))) throw notPublic()
  return [first, ...rest]
}

/** https://nodejs.org/api/dns.html#error-codes */
const ABSENT = new Set(['ENOTFOUND', 'ENODATA', 'EBADNAME'])

function isAbsence(error: unknown): boolean {
  return error instanceof Error && 'code' in error && ABSENT.has(String(error.code))
}
