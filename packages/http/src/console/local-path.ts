/** Any origin will do: what leaves it is not ours. */
const HERE = 'http://here.invalid'

/** The path and query of an address on this server; `/` for everything else, so that a redirect cannot lead away. */
export function localPath(address: unknown): string {
  if (typeof address !== 'string' || !address.startsWith('/') || !URL.canParse(address, HERE)) return '/'
  const url = new URL(address, HERE)
  const path = url.pathname + url.search
  // A parsed path may still begin with two slashes (`/.//evil.example`), and would name a host when it is read again.
  return url.origin === HERE && !path.startsWith('//') ? path : '/'
}
