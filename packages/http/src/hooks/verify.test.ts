import { createHash, createHmac } from 'node:crypto'
import { type HookVerifier, SluiceError } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { keptHeaders, secretFault, verifyRequest } from './verify.ts'

const SKEW_MS = 300_000
const digestKey = (body: string) => `sha256:${createHash('sha256').update(body).digest('hex')}`

interface Sent {
  readonly verifier: HookVerifier
  readonly headers: Record<string, string>
  readonly body: string
  readonly secrets: readonly string[]
  readonly at: number
}

/** What it is known by; null when it is refused. */
function verified({ verifier, headers, body, secrets, at }: Sent) {
  try {
    const options = { secrets, now: new Date(at * 1000), skewMs: SKEW_MS }
    return verifyRequest(verifier, { headers, body: Buffer.from(body) }, options)
  } catch (error) {
    // Nothing of what was wrong is said.
    if (SluiceError.is(error, 'signature_invalid') && error.message === 'The signature of the event is not valid') return null
    throw error
  }
}

const GENERIC = { kind: 'hmac', algorithm: 'sha256', encoding: 'hex', prefix: '', timestampHeader: null, idHeader: null } as const
const hmac = (algorithm: string, secret: string, text: string, encoding: 'hex' | 'base64' = 'hex') =>
  createHmac(algorithm, secret).update(text).digest(encoding)

const AKENEO_SECRET = '3ha6eonoa9icsckw8kccos084w0c0000g08g40oo4kww0gc8w4'
const AKENEO_BODY = '{"events":[{"action":"product.created"}]}'
const MINIO_BODY = '{"EventName":"s3:ObjectCreated:Put","Key":"photos/a.jpg","Records":[]}'

/** One good event of each sender; where its documentation has an example with a signature, that is the one. */
const SENT: Readonly<Record<string, Sent & { readonly key: string; readonly signature: string }>> = {
  // The example of the specification.
  'Standard Webhooks': {
    verifier: { kind: 'standard-webhooks' },
    headers: {
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    },
    body: '{"test": 2432232314}',
    secrets: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'],
    at: 1_614_265_330,
    key: 'id:msg_p5jXN8AQM9LWM0D4loKWxJek',
    signature: 'webhook-signature',
  },
  // The example of "Validating webhook deliveries".
  GitHub: {
    verifier: { ...GENERIC, header: 'x-hub-signature-256', prefix: 'sha256=', signed: '{body}' },
    headers: { 'x-hub-signature-256': 'sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17' },
    body: 'Hello, World!',
    secrets: ["It's a Secret to Everybody"],
    at: 0,
    key: digestKey('Hello, World!'),
    signature: 'x-hub-signature-256',
  },
  // The example of "Verifying requests from Slack": a time that is signed, and a prefix in what is signed.
  Slack: {
    verifier: {
      ...GENERIC,
      header: 'x-slack-signature',
      prefix: 'v0=',
      timestampHeader: 'x-slack-request-timestamp',
      signed: 'v0:{timestamp}:{body}',
    },
    headers: {
      'x-slack-request-timestamp': '1531420618',
      'x-slack-signature': 'v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503',
    },
    body: 'token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c',
    secrets: ['8f742231b10e8888abcd99yyyzzz85a5'],
    at: 1_531_420_618,
    key: '',
    signature: 'x-slack-signature',
  },
  Shopify: {
    verifier: { kind: 'shopify' },
    headers: { 'x-shopify-hmac-sha256': hmac('sha256', 'hush-hush', '{"id":1}', 'base64'), 'x-shopify-webhook-id': 'b54557e4' },
    body: '{"id":1}',
    secrets: ['hush-hush'],
    at: 0,
    key: digestKey('{"id":1}'),
    signature: 'x-shopify-hmac-sha256',
  },
  "Akeneo's Events API": {
    verifier: { kind: 'akeneo-events' },
    headers: {
      'x-akeneo-request-timestamp': '1602565368',
      'x-akeneo-request-signature': hmac('sha256', AKENEO_SECRET, `1602565368.${AKENEO_BODY}`),
    },
    body: AKENEO_BODY,
    secrets: [AKENEO_SECRET],
    at: 1_602_565_368,
    key: digestKey(AKENEO_BODY),
    signature: 'x-akeneo-request-signature',
  },
  "Akeneo's Event Platform": {
    verifier: { kind: 'akeneo-event-platform' },
    headers: {
      'x-akeneo-signature-primary': hmac('sha256', AKENEO_SECRET, AKENEO_BODY),
      'x-akeneo-signature-algorithm': 'HmacSHA256',
    },
    body: AKENEO_BODY,
    secrets: [AKENEO_SECRET],
    at: 0,
    key: digestKey(AKENEO_BODY),
    signature: 'x-akeneo-signature-primary',
  },
  'MinIO with a Bearer token': {
    verifier: { kind: 's3' },
    headers: { authorization: 'Bearer minio-auth-token' },
    body: MINIO_BODY,
    secrets: ['minio-auth-token'],
    at: 0,
    key: digestKey(MINIO_BODY),
    signature: 'authorization',
  },
  'MinIO with a whole header': {
    verifier: { kind: 's3' },
    headers: { authorization: 'Basic bWluaW86c2VjcmV0' },
    body: MINIO_BODY,
    secrets: ['Basic bWluaW86c2VjcmV0'],
    at: 0,
    key: digestKey(MINIO_BODY),
    signature: 'authorization',
  },
}

describe.for(Object.entries(SENT))('an event of %s', ([name, sent]) => {
  const { key, signature, headers } = sent

  it('is its own, and known by what is signed', () => {
    expect(verified(sent)?.key).toBe(key || digestKey(sent.body))
  })

  it('is good with any of several secrets', () => {
    expect(verified({ ...sent, secrets: ['whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', ...sent.secrets] })).not.toBeNull()
  })

  it('is refused with another secret, with none, without a signature, with half of one, or with another', () => {
    expect(verified({ ...sent, secrets: ['whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'] })).toBeNull()
    expect(verified({ ...sent, secrets: [] })).toBeNull()
    const { [signature]: given = '', ...unsigned } = headers
    expect(verified({ ...sent, headers: unsigned })).toBeNull()
    const changed = ['', given.slice(0, -8), `${given}aa`, given.toUpperCase(), given.slice(0, -6) + '000000']
    // Hex in capitals is the same signature.
    const forged = changed.filter((each) => each !== given && !(/[0-9a-f]{64}$/.test(given) && each === given.toUpperCase()))
    for (const each of forged) {
      expect([name, each, verified({ ...sent, headers: { ...headers, [signature]: each } })]).toEqual([name, each, null])
    }
  })

  it.for([sent].filter(({ verifier }) => verifier.kind !== 's3'))('is refused with another body', () => {
    for (const body of [`${sent.body} `, sent.body.slice(1), '']) expect(verified({ ...sent, body })).toBeNull()
  })

  it.for([sent].filter(({ at }) => at > 0))('is refused when it is old or from the future, and when its time was changed', () => {
    for (const seconds of [-299, 299]) expect(verified({ ...sent, at: sent.at + seconds })).not.toBeNull()
    for (const seconds of [-301, 301]) expect(verified({ ...sent, at: sent.at + seconds })).toBeNull()
    const named = Object.keys(headers).find((header) => header.includes('timestamp')) ?? ''
    for (const changed of [String(sent.at + 1), '', 'soon', 'NaN']) {
      expect(verified({ ...sent, headers: { ...headers, [named]: changed } })).toBeNull()
    }
  })
})

describe('Standard Webhooks', () => {
  const { 'Standard Webhooks': sent } = SENT
  const good = sent?.headers['webhook-signature'] ?? ''
  const withSignatures = (signatures: string) =>
    sent && verified({ ...sent, headers: { ...sent.headers, 'webhook-signature': signatures } })

  it('finds its signature among several, of any version', () => {
    expect(withSignatures(`v1,AAAA v2,${good.slice(3)} ${good}`)).not.toBeNull()
    expect(withSignatures(`v2,${good.slice(3)} v1a,${good.slice(3)}`)).toBeNull()
  })

  it('looks at so many signatures and no more', () => {
    expect(withSignatures(`${'v1,AAAA '.repeat(15)}${good}`)).not.toBeNull()
    expect(withSignatures(`${'v1,AAAA '.repeat(16)}${good}`)).toBeNull()
  })

  it('signs the id, so that it cannot be changed', () => {
    expect(sent && verified({ ...sent, headers: { ...sent.headers, 'webhook-id': 'msg_other' } })).toBeNull()
  })

  it('takes a secret as the specification has it, and refuses others when they are given', () => {
    expect(secretFault({ kind: 'standard-webhooks' }, 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw')).toBeNull()
    expect(secretFault({ kind: 'standard-webhooks' }, 'whsec_short')).toContain('whsec_')
    expect(secretFault({ kind: 'shopify' }, 'short')).toBeNull()
  })
})

describe('what is not signed', () => {
  it('is told and does not make another event of it', () => {
    const { Shopify: sent } = SENT
    if (!sent) throw new Error('no example')
    const other = { ...sent, headers: { ...sent.headers, 'x-shopify-webhook-id': 'another' } }
    expect(verified(sent)).toEqual({ key: sent.key, saidId: 'b54557e4' })
    expect(verified(other)).toEqual({ key: sent.key, saidId: 'another' })
  })

  it('is kept for mappings, but for what could open something', () => {
    const limits = { hookHeadersMax: 3, hookHeaderLengthMax: 10 }
    const headers = {
      authorization: 'Bearer x',
      cookie: 'a=b',
      'content-type': 'application/json',
      'x-shopify-topic': 'p/update',
      'x-shopify-hmac-sha256': 'x',
      'x-akeneo-request-signature': 'x',
      'x-api-key': 'x',
      'x-long': 'x'.repeat(11),
      'ce-type': 'a',
      'webhook-id': 'm',
      'x-more': 'm',
    }
    expect(keptHeaders(headers, limits)).toEqual({ 'x-shopify-topic': 'p/update', 'ce-type': 'a', 'webhook-id': 'm' })
  })
})

describe('a generic HMAC', () => {
  it.for(['sha1', 'sha256', 'sha512'] as const)('is checked with %s, in hex and in base64', (algorithm) => {
    for (const encoding of ['hex', 'base64'] as const) {
      const verifier = { ...GENERIC, header: 'x-sig', algorithm, encoding, signed: '{body}' }
      const sent = { verifier, body: 'ü', secrets: ['secret'], at: 0 }
      expect(verified({ ...sent, headers: { 'x-sig': hmac(algorithm, 'secret', 'ü', encoding) } })).not.toBeNull()
      expect(verified({ ...sent, headers: { 'x-sig': hmac('md5', 'secret', 'ü', encoding) } })).toBeNull()
    }
  })

  it('takes times in seconds, milliseconds and RFC 3339', () => {
    const verifier = { ...GENERIC, header: 'x-sig', timestampHeader: 'x-time', signed: '{timestamp}{body}' }
    for (const [time, at] of [
      ['1700000000', 1_700_000_000],
      ['1700000000123', 1_700_000_000],
      ['2023-11-14T22:13:20Z', 1_700_000_000],
    ] as const) {
      const headers = { 'x-time': time, 'x-sig': hmac('sha256', 's', `${time}b`) }
      expect(verified({ verifier, headers, body: 'b', secrets: ['s'], at })).not.toBeNull()
      expect(verified({ verifier, headers, body: 'b', secrets: ['s'], at: at + 302 })).toBeNull()
    }
  })
})
