import { createSign, generateKeyPairSync } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { baseString, isHmacSha1, isPlaintext, isRsaSha1, percentEncode } from './oauth1-signature.ts'

const DPF = { consumerSecret: 'kd94hf93k423kf44', tokenSecret: '' }

/** The three signed requests of RFC 5849 §1.2. */
const EXAMPLES = [
  {
    what: 'for temporary credentials',
    request: {
      method: 'POST',
      url: 'https://photos.example.net/initiate',
      parameters: [
        ['realm', 'Photos'],
        ['oauth_consumer_key', 'dpf43f3p2l4k3l03'],
        ['oauth_signature_method', 'HMAC-SHA1'],
        ['oauth_timestamp', '137131200'],
        ['oauth_nonce', 'wIjqoS'],
        ['oauth_callback', 'http://printer.example.com/ready'],
        ['oauth_signature', '74KNZJeDHnMBp0EMJ9ZHt/XKycU='],
      ],
    },
    secrets: DPF,
    signature: '74KNZJeDHnMBp0EMJ9ZHt/XKycU=',
  },
  {
    what: 'for a token',
    request: {
      method: 'POST',
      url: 'https://photos.example.net/token',
      parameters: [
        ['oauth_consumer_key', 'dpf43f3p2l4k3l03'],
        ['oauth_token', 'hh5s93j4hdidpola'],
        ['oauth_signature_method', 'HMAC-SHA1'],
        ['oauth_timestamp', '137131201'],
        ['oauth_nonce', 'walatlh'],
        ['oauth_verifier', 'hfdp7dh39dks9884'],
      ],
    },
    secrets: { ...DPF, tokenSecret: 'hdhd0244k9j7ao03' },
    signature: 'gKgrFCywp7rO0OXSjdot/IHF7IU=',
  },
  {
    what: 'for a photo',
    request: {
      method: 'GET',
      url: 'http://photos.example.net/photos?file=vacation.jpg&size=original',
      parameters: [
        ['oauth_consumer_key', 'dpf43f3p2l4k3l03'],
        ['oauth_token', 'nnch734d00sl2jdk'],
        ['oauth_signature_method', 'HMAC-SHA1'],
        ['oauth_timestamp', '137131202'],
        ['oauth_nonce', 'chapoH'],
      ],
    },
    secrets: { ...DPF, tokenSecret: 'pfkkdhi9sl3r4s00' },
    signature: 'MdpQcU8iPSUjWoN/UDMsK2sui9I=',
  },
] as const

describe('a signature of OAuth 1.0a', () => {
  test.each(EXAMPLES)('is the one of RFC 5849 §1.2 $what', ({ request, secrets, signature }) => {
    expect(isHmacSha1(signature, request, secrets)).toBe(true)
    expect(isHmacSha1(signature, { ...request, method: 'DELETE' }, secrets)).toBe(false)
    expect(isHmacSha1(signature, { ...request, url: `${request.url}/` }, secrets)).toBe(false)
    expect(isHmacSha1(signature, request, { ...secrets, tokenSecret: 'x' })).toBe(false)
    expect(isHmacSha1('', request, secrets)).toBe(false)
  })

  test('is made from the base string of RFC 5849 §3.4.1.1, with the parameters of a query and of a form', () => {
    const signed = {
      method: 'post',
      url: 'HTTP://EXAMPLE.COM:80/request?b5=%3D%253D&a3=a&c%40=&a2=r%20b',
      parameters: [
        ['realm', 'Example'],
        ['oauth_consumer_key', '9djdj82h48djs9d2'],
        ['oauth_token', 'kkk9d7dh3k39sjv7'],
        ['oauth_signature_method', 'HMAC-SHA1'],
        ['oauth_timestamp', '137131201'],
        ['oauth_nonce', '7d8f3e4a'],
        ['oauth_signature', 'bYT5CMsGcbgUdFHObYMEfcx6bsw='],
        ...new URLSearchParams('c2&a3=2+q'),
      ] as [string, string][],
    }
    expect(baseString(signed)).toBe(
      'POST&http%3A%2F%2Fexample.com%2Frequest&a2%3Dr%2520b%26a3%3D2%2520q%26a3%3Da%26b5%3D%253D%25253D%26c%2540%3D%26c2%3D%26' +
        'oauth_consumer_key%3D9djdj82h48djs9d2%26oauth_nonce%3D7d8f3e4a%26oauth_signature_method%3DHMAC-SHA1%26' +
        'oauth_timestamp%3D137131201%26oauth_token%3Dkkk9d7dh3k39sjv7',
    )
  })

  test.each([
    ['http://EXAMPLE.COM:80/r%20v/X?id=123', 'http://example.com/r%20v/X'],
    ['https://www.example.net:8080/?q=1', 'https://www.example.net:8080/'],
    ['https://example.net:443', 'https://example.net/'],
    ['http://example.net/a/../b/%2E%2e/c', 'http://example.net/a/../b/%2E%2e/c'],
  ])('is made for the address %s as %s', (url, expected) => {
    expect(baseString({ method: 'GET', url, parameters: [] }).split('&')[1]).toBe(percentEncode(expected))
  })

  test('is read from RSA keys, and never from what is none', () => {
    const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const pem = publicKey.export({ type: 'spki', format: 'pem' })
    const { request } = EXAMPLES[2]
    const signature = createSign('RSA-SHA1').update(baseString(request)).sign(privateKey, 'base64')
    expect(isRsaSha1(signature, request, pem)).toBe(true)
    expect(isRsaSha1(signature, { ...request, method: 'PUT' }, pem)).toBe(false)
    expect(isRsaSha1('', request, pem)).toBe(false)
    expect(isRsaSha1(signature, request, 'no key')).toBe(false)
  })

  test('is both secrets in plain text, encoded', () => {
    expect(
      isPlaintext('djr9rjt0jd78jf88&jjd999tj88uiths3', { consumerSecret: 'djr9rjt0jd78jf88', tokenSecret: 'jjd999tj88uiths3' }),
    ).toBe(true)
    expect(isPlaintext('a%26b&c', { consumerSecret: 'a&b', tokenSecret: 'c' })).toBe(true)
    expect(isPlaintext('a&b&c', { consumerSecret: 'a&b', tokenSecret: 'c' })).toBe(false)
  })
})
