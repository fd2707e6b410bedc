import { DEFAULT_LIMITS } from '@sluice/core'
import { describe, expect, it } from 'vitest'
import { describeVariables } from './config-variables.ts'
import { readConfig } from './config.ts'
import { StartError } from './lifecycle-start-error.ts'

const PRODUCTION = {
  SLUICE_DATABASE_URL: 'postgres://sluice:s3cret@db/sluice',
  SLUICE_REDIS_URL: 'redis://queue:6379',
  SLUICE_S3_ENDPOINT: 'http://minio:9000',
  SLUICE_S3_ACCESS_KEY: 'access',
  SLUICE_S3_SECRET_KEY: 'hidden-key',
}

function refusal(environment: Record<string, string>): string {
  try {
    readConfig(environment)
  } catch (error) {
    if (error instanceof StartError) return error.message
    throw error
  }
  return ''
}

describe('readConfig', () => {
  it('needs nothing: without variables all is embedded, local and safe', () => {
    const config = readConfig({})
    expect(config.dataDir).toMatch(/\/\.sluice\/data$/)
    expect(config.database).toMatchObject({ kind: 'embedded', dataDir: `${config.dataDir}/postgres` })
    expect(config.database.poolMax).toBe(config.worker.concurrency + 16)
    expect(config.queue).toEqual({ kind: 'postgres' })
    expect(config.objects).toEqual({ kind: 'filesystem', dir: `${config.dataDir}/objects` })
    expect([config.http, config.console, config.ops]).toEqual([8080, 8081, 8082].map((port) => ({ host: '127.0.0.1', port })))
    expect(config.limits).toEqual(DEFAULT_LIMITS)
    expect(config).toMatchObject({ bootstrapToken: null, policy: { keepGps: false }, logLevel: null })
    expect(config.worker.concurrency).toBeGreaterThan(0)
  })

  it('takes servers by their URLs', () => {
    const { database, queue, objects } = readConfig(PRODUCTION)
    expect(database).toMatchObject({ kind: 'url', url: PRODUCTION.SLUICE_DATABASE_URL })
    expect(queue).toEqual({ kind: 'redis', url: PRODUCTION.SLUICE_REDIS_URL })
    expect(objects).toEqual({
      kind: 'minio',
      endpoint: 'http://minio:9000',
      publicEndpoint: null,
      accessKey: 'access',
      secretKey: 'hidden-key',
      region: 'us-east-1',
      bucket: 'sluice',
      staging: { kind: 'bucket', bucket: 'sluice-staging' },
    })
  })

  it('stages on a volume where one is named', () => {
    const { objects } = readConfig({ ...PRODUCTION, SLUICE_S3_STAGING_DIR: '/staging' })
    expect(objects).toMatchObject({ staging: { kind: 'volume', dir: '/staging' } })
  })

  it('knows the servers that may be fetched from as their URLs name them', () => {
    const { fetchAllow } = readConfig({ SLUICE_FETCH_ALLOW: '127.1:9999, Files.Intra:80,[::0001]:443' })
    expect(fetchAllow).toEqual(['127.0.0.1:9999', 'files.intra:80', '[::1]:443'])
    expect(readConfig({}).fetchAllow).toEqual([])
    for (const wrong of ['files.intra', 'http://files.intra:80', 'files.intra:0', 'a:b:80', 'a:80/x', 'x@a:80', 'a:70000', ','])
      expect(refusal({ SLUICE_FETCH_ALLOW: wrong })).toContain('a list of host:port is allowed')
  })

  it('believes proxies that are named, and no large part of the internet', () => {
    const { trustedProxies } = readConfig({ SLUICE_TRUSTED_PROXIES: '10.0.0.0/8, 192.0.2.7,fc00::/7,::1' })
    expect(trustedProxies).toEqual(['10.0.0.0/8', '192.0.2.7', 'fc00::/7', '::1'])
    expect(readConfig({}).trustedProxies).toEqual([])
    for (const wrong of [
      'true',
      '1',
      'loopback',
      '0.0.0.0/0',
      '::/0',
      '1.0.0.0/7',
      '10.0.0.0/33',
      '10.0.0.0/8/8',
      'proxy',
      ',',
      '10.0.0.0/',
    ])
      expect(refusal({ SLUICE_TRUSTED_PROXIES: wrong })).toContain('a list of addresses and networks')
  })

  it('takes an empty variable for none', () => {
    expect(readConfig({ SLUICE_HTTP_PORT: '', SLUICE_DATABASE_URL: ' ' })).toEqual(readConfig({}))
  })

  it('keeps the data where it is told to', () => {
    const { database, objects } = readConfig({ SLUICE_DATA_DIR: '/srv/sluice' })
    expect(database).toMatchObject({ dataDir: '/srv/sluice/postgres' })
    expect(objects).toMatchObject({ dir: '/srv/sluice/objects' })
  })

  it('reports all problems at once, each with its variable, what it got and what is allowed', () => {
    const message = refusal({ SLUICE_HTTP_PORT: '80a', SLUICE_LOG_LEVEL: 'loud', SLUICE_POLICY_KEEP_GPS: 'maybe' })
    expect(message).toContain('3 problems')
    expect(message).toContain('SLUICE_HTTP_PORT is "80a": a whole number from 0 to 65535 is allowed.')
    expect(message).toMatch(/SLUICE_LOG_LEVEL is "loud": one of fatal, error, warn, info, debug, trace, silent/)
    expect(message).toContain('SLUICE_POLICY_KEEP_GPS is "maybe": true or false is allowed.')
  })

  it.each([
    [{ SLUICE_DATABASE_URL: 'mysql://root:pa55word@db/x' }, 'pa55word'],
    [{ SLUICE_BOOTSTRAP_TOKEN: 'pa55word with spaces' }, 'pa55word'],
  ])('never repeats a secret', (environment, secret) => {
    const message = refusal(environment)
    expect(message).toContain(Object.keys(environment)[0])
    expect(message).not.toContain(secret)
  })

  it.each([
    [{ SLUICE_REDIS_URL: 'redis://queue' }, /SLUICE_REDIS_URL is set without SLUICE_DATABASE_URL/],
    [{ SLUICE_S3_ACCESS_KEY: 'key' }, /SLUICE_S3_ACCESS_KEY .* without SLUICE_S3_ENDPOINT/],
    [{ SLUICE_S3_ENDPOINT: 'http://minio:9000', SLUICE_S3_ACCESS_KEY: 'key' }, /^SLUICE_S3_SECRET_KEY is missing/],
    [{ SLUICE_S3_ENDPOINT: 'http://minio:9000/path' }, /SLUICE_S3_ENDPOINT is "http:\/\/minio:9000\/path"/],
    [{ ...PRODUCTION, SLUICE_S3_STAGING_DIR: '/a', SLUICE_S3_STAGING_BUCKET: 'abc' }, /Remove one/],
    [{ ...PRODUCTION, SLUICE_S3_STAGING_BUCKET: 'sluice' }, /a name of its own/],
    [{ SLUICE_HTTP_PORT: '9000', SLUICE_OPS_PORT: '9000' }, /SLUICE_OPS_PORT and SLUICE_HTTP_PORT are both 9000/],
    [{ SLUICE_WORKER_CONCURRENCY: '9', SLUICE_DATABASE_POOL_MAX: '9' }, /^SLUICE_DATABASE_POOL_MAX is 9: it must be above/],
    [{ SLUICE_WORKER_CONCURRENCY: 'all' }, /^SLUICE_WORKER_CONCURRENCY is "all": [^\n]*$/],
    [{ SLUICE_POLICY_ROLES: 'swatch' }, /`image` in it/],
    [{ SLUICE_LIMIT_FILE_BYTE_MAX: '1' }, /SLUICE_LIMIT_FILE_BYTE_MAX is no limit/],
    [{ SLUICE_LIMIT_INGEST_MS_MAX: '180000' }, /ingestMsMax .* must be below reconcileAfterMs/],
    [{ SLUICE_LIMIT_JOB_LOCK_MS: '180000' }, /jobLockMs .* must be below reconcileAfterMs/],
    [{ SLUICE_LIMIT_STAGED_MS_MAX: '60000' }, /requestMsMax .* must be below stagedMsMax/],
    [{ SLUICE_LIMIT_REQUEST_MS_MAX: '9999999999' }, /SLUICE_LIMIT_REQUEST_MS_MAX is "9999999999"/],
  ])('refuses %o', (environment, sentence) => {
    expect(refusal(environment)).toMatch(sentence)
  })

  it('lets free ports be taken side by side', () => {
    expect(refusal({ SLUICE_HTTP_PORT: '0', SLUICE_CONSOLE_PORT: '0', SLUICE_OPS_PORT: '0' })).toBe('')
  })

  it('takes every limit from its variable', () => {
    const config = readConfig({ SLUICE_LIMIT_FILE_BYTES_MAX: '1048576', SLUICE_LIMIT_PAGE_ITEMS_MAX: '7' })
    expect(config.limits).toEqual({ ...DEFAULT_LIMITS, fileBytesMax: 1_048_576, pageItemsMax: 7 })
  })
})

describe('describeVariables', () => {
  it('lists every variable once, and none with a machine path', () => {
    const rows = describeVariables()
    expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length)
    expect(rows).toContainEqual({ name: 'SLUICE_HTTP_PORT', meaning: expect.any(String), byDefault: '8080' })
    expect(rows).toContainEqual({ name: 'SLUICE_LIMIT_ATTEMPTS_MAX', meaning: expect.any(String), byDefault: '5' })
    expect(rows.map(({ byDefault }) => byDefault).filter((text) => text.startsWith('/'))).toEqual([])
  })
})
