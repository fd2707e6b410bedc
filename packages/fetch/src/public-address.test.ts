import { describe, expect, test } from 'vitest'
import { isPublicAddress } from './public-address.ts'

describe('public addresses', () => {
  test.each(['1.1.1.1', '8.8.8.8', '93.184.215.14', '172.32.0.1', '100.128.0.1', '198.20.0.1', '223.255.255.255'])(
    '%s is one',
    (address) => {
      expect(isPublicAddress(address)).toBe(true)
    },
  )
  test.each(['2606:4700:4700::1111', '2001:4860:4860::8888', '2a00:1450:4001:81b::200e', '2400:cb00::1'])(
    '%s is one',
    (address) => {
      expect(isPublicAddress(address)).toBe(true)
    },
  )

  /** The first and the last address of each block that reliability asks for. */
  test.each([
    ['0.0.0.0', '0.255.255.255'],
    ['10.0.0.0', '10.255.255.255'],
    ['100.64.0.0', '100.127.255.255'],
    ['127.0.0.0', '127.255.255.255'],
    ['169.254.0.0', '169.254.255.255'],
    ['172.16.0.0', '172.31.255.255'],
    ['192.0.0.0', '192.0.0.255'],
    ['192.0.2.0', '192.0.2.255'],
    ['192.168.0.0', '192.168.255.255'],
    ['198.18.0.0', '198.19.255.255'],
    ['198.51.100.0', '198.51.100.255'],
    ['203.0.113.0', '203.0.113.255'],
    ['224.0.0.0', '239.255.255.255'],
    ['240.0.0.0', '255.255.255.255'],
    ['::', '::1'],
    ['::1:1', '::ffff:ffff'],
    ['::ffff:0:0', '::ffff:8.8.8.8'],
    ['64:ff9b::', '64:ff9b::8.8.8.8'],
    ['64:ff9b:1::', '100::1'],
    ['2001::', '2001:1ff:ffff::'],
    ['2001:db8::', '2001:db8:ffff::'],
    ['2002::', '2002:808:808::'],
    ['3fff::', '3fff:fff::'],
    ['5f00::', '4000::'],
    ['fc00::', 'fdff:ffff::'],
    ['fe80::', 'febf:ffff::'],
    ['fec0::', 'feff::'],
    ['ff00::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
    ['fe80::1%eth0', '2606:4700:4700::1111%eth0'],
    ['', 'localhost'],
  ])('%s to %s are none', (first, last) => {
    expect([isPublicAddress(first), isPublicAddress(last)]).toEqual([false, false])
  })
})
