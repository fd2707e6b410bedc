import { BlockList, isIP } from 'node:net'

/**
 * What is no server of the public internet, though it looks like an address: the special-purpose registries of IANA (RFC 6890), and
 * the one address that Azure gives to the host of each of its machines (168.63.129.16).
 */
const NOT_PUBLIC_V4: readonly [network: string, bits: number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
]

/**
 * Only 2000::/3 is given out as global unicast (RFC 4291 §2.4), so that mapped and translated IPv4 (::ffff:0:0/96, 64:ff9b::/96),
 * local and multicast addresses are out already. Within it: protocol assignments and Teredo, documentation, 6to4.
 */
const GLOBAL_UNICAST_V6 = ['2000::', 3] as const
const NOT_PUBLIC_V6: readonly [network: string, bits: number][] = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['3fff::', 20],
]

// One list per use and family: a list compares an IPv4 address with IPv6 networks as if it were mapped.
const refusedV4 = listOf('ipv4', NOT_PUBLIC_V4)
const refusedV6 = listOf('ipv6', NOT_PUBLIC_V6)
const givenOutV6 = listOf('ipv6', [GLOBAL_UNICAST_V6])

/** True for an address that anybody on the internet can reach. Anything that is no address is not public. */
export function isPublicAddress(address: string): boolean {
  // A zone (`fe80::1%eth0`) names an interface of this machine.
  if (address.includes('%')) return false
  const family = isIP(address)
  if (family === 4) return !refusedV4.check(address, 'ipv4')
  return family === 6 && givenOutV6.check(address, 'ipv6') && !refusedV6.check(address, 'ipv6')
}

function listOf(family: 'ipv4' | 'ipv6', networks: readonly (readonly [network: string, bits: number])[]): BlockList {
  const list = new BlockList()
  for (const [network, bits] of networks) list.addSubnet(network, bits, family)
  return list
}
