import { isIP } from 'node:net'
import { SluiceError } from '@sluice/core'
import { isPublicAddress } from './public-address.ts'

/** An address that may be asked. */
export interface Target {
  readonly url: URL
  /** Whether the operator has excepted it: then nothing is asked of where its name leads. */
  readonly isExcepted: boolean
}

/** Longer ones are refused by many servers, and nobody types them. */
const LENGTH_MAX = 2_048

/**
 * Reads the address of a stranger. WHATWG parsing makes one of all spellings: `0x7f.1`, `2130706433` and full-width digits are
 * `127.0.0.1` afterwards, and what is checked is what is connected to.
 */
export function targetOf(text: string, exceptions: ReadonlySet<string>): Target {
  return permitted(parse(text), exceptions)
}

/** Where a redirect leads, under the same rules. */
export function redirectedTo(location: string, from: URL, exceptions: ReadonlySet<string>): Target {
  return permitted(parse(location, from), exceptions)
}

function parse(text: string, base?: URL): URL {
  const url = text.length > LENGTH_MAX ? null : URL.parse(text, base)
  if (!url || !url.hostname) throw invalid('it must be an absolute URL such as https://example.com/photo.jpg.')
  if (url.username || url.password) throw invalid('it must not contain a user name or a password.')
  return url
}

function permitted(url: URL, exceptions: ReadonlySet<string>): Target {
  const isExcepted = exceptions.has(`${url.hostname}:${url.port || DEFAULT_PORTS[url.protocol]}`)
  if (url.protocol !== 'https:' && !(isExcepted && url.protocol === 'http:')) throw invalid('it must begin with https://.')
  if (!isExcepted && url.port !== '' && url.port !== '80') throw forbidden('Only the ports 80 and 443 may be fetched from.')
  // A literal address never reaches `lookup`.
  const literal = url.hostname.replace(/^\[|\]$/g, '')
  if (!isExcepted && isIP(literal) && !isPublicAddress(literal)) throw notPublic()
  return { url, isExcepted }
}

const DEFAULT_PORTS: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/** The same for a name that does not exist and for one that leads inside: who asks cannot learn which names there are inside. */
export function notPublic(cause?: unknown): SluiceError {
  return forbidden('Its host has no public address. Check the name, or give the address of a file on the public internet.', cause)
}

function forbidden(what: string, cause?: unknown): SluiceError {
  return new SluiceError('url_forbidden', `The address of the file may not be fetched. ${what}`, { cause })
}

function invalid(what: string): SluiceError {
  return new SluiceError('url_invalid', `The address of the file is not valid: ${what}`)
}
