import { isIP } from 'node:net'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { DEFAULT_LIMITS, DEFAULT_ROLES, MAIN_ROLE, type Limits } from '@sluice/core'

export interface Variable<Value> {
  readonly name: string
  readonly meaning: string
  /** What may stand there, as in "… is allowed". */
  readonly allowed: string
  /** Undefined: the text is not allowed. */
  readonly parse: (text: string) => Value | undefined
  readonly byDefault: Value
  /** The default for readers, where the value depends on the machine. */
  readonly defaultText?: string
  /** Never repeated in a message. */
  readonly secret?: true
}

const LOG_LEVELS = ['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

const REPOSITORY = resolve(import.meta.dirname, '../../..')
const CORES = { byDefault: availableParallelism(), defaultText: 'the number of cores' }

/** Every variable of the environment that Sluice reads, except for the limits. */
export const VARIABLES = {
  dataDir: {
    ...directory('SLUICE_DATA_DIR', 'Where everything is kept that no URL places elsewhere.'),
    byDefault: resolve(REPOSITORY, '.sluice/data'),
    defaultText: '.sluice/data',
  },
  databaseUrl: url('SLUICE_DATABASE_URL', 'PostgreSQL; without it, one is started.', ['postgres:', 'postgresql:']),
  databasePoolMax: {
    ...optional(integer('SLUICE_DATABASE_POOL_MAX', 'Connections of one process to the database.', 2, 1000)),
    defaultText: 'SLUICE_WORKER_CONCURRENCY and 16 more',
  },
  redisUrl: url('SLUICE_REDIS_URL', 'Redis for the queue; without it, the queue is in PostgreSQL.', ['redis:', 'rediss:']),
  s3Endpoint: origin('SLUICE_S3_ENDPOINT', 'MinIO or any S3; without it, files are in the data directory.'),
  s3PublicEndpoint: origin(
    'SLUICE_S3_PUBLIC_ENDPOINT',
    'Where clients reach the endpoint, if they may put uploads into the staging bucket by themselves; without it, these come through the API.',
  ),
  s3AccessKey: secret('SLUICE_S3_ACCESS_KEY', 'The access key for the endpoint.'),
  s3SecretKey: secret('SLUICE_S3_SECRET_KEY', 'The secret key for the endpoint.'),
  s3Region: word('SLUICE_S3_REGION', 'The region of the buckets.', 'us-east-1'),
  s3Bucket: { ...bucket('SLUICE_S3_BUCKET', 'The bucket of verified files.'), byDefault: 'sluice' },
  s3StagingBucket: {
    ...bucket('SLUICE_S3_STAGING_BUCKET', 'The bucket of bytes as they arrived.'),
    defaultText: 'the other bucket with `-staging`',
  },
  s3StagingDir: directory('SLUICE_S3_STAGING_DIR', 'Instead of a staging bucket, a directory that intake and worker share.'),
  httpHost: word('SLUICE_HTTP_HOST', 'The address on which the API listens.', '127.0.0.1'),
  httpPort: port('SLUICE_HTTP_PORT', 'The port of the API.', 8080),
  consoleHost: word('SLUICE_CONSOLE_HOST', 'The address on which the console listens.', '127.0.0.1'),
  consolePort: port('SLUICE_CONSOLE_PORT', 'The port of the console.', 8081),
  opsHost: word('SLUICE_OPS_HOST', 'The address on which health and metrics are served.', '127.0.0.1'),
  opsPort: port('SLUICE_OPS_PORT', 'The port of health and metrics.', 8082),
  bootstrapToken: secret('SLUICE_BOOTSTRAP_TOKEN', 'An admin token that exists from the first start.'),
  secretKey: {
    ...secret(
      'SLUICE_SECRET_KEY',
      'What links, OAuth 1.0a secrets and those of webhooks are derived from; the same for all intakes and workers.',
      32,
    ),
    defaultText: 'under `sluice up` a random one, kept in the data directory',
  },
  publicUrl: origin(
    'SLUICE_PUBLIC_URL',
    'The address under which clients reach the API, for links; without it, the one that they used.',
  ),
  guestTenant: {
    ...optional(
      word('SLUICE_GUEST_TENANT', 'The tenant whose live products anybody may look at, where an API knows guests.', ''),
    ),
    defaultText: 'nobody is let in without a token',
  },
  trustedProxies: networks(
    'SLUICE_TRUSTED_PROXIES',
    'Proxies whose X-Forwarded-For and X-Forwarded-Proto are believed, as addresses or networks with commas between them.',
  ),
  fetchAllow: servers(
    'SLUICE_FETCH_ALLOW',
    'Servers that files may be fetched from although they are not public, and without TLS, with commas between them.',
  ),
  roles: roles('SLUICE_POLICY_ROLES', 'The roles that an image may have, with commas between them.'),
  keepGps: flag('SLUICE_POLICY_KEEP_GPS', 'Whether coordinates in EXIF are kept among the facts.', false),
  logLevel: logLevel('SLUICE_LOG_LEVEL', 'The least severe lines that are logged; by default `info`, under `sluice up` `warn`.'),
  workerConcurrency: { ...integer('SLUICE_WORKER_CONCURRENCY', 'Ingests that one worker runs at a time.', 1, 1000), ...CORES },
  decoderProcesses: { ...integer('SLUICE_IMAGES_DECODER_PROCESSES', 'Images decoded at a time.', 1, 1000), ...CORES },
} as const

export const LIMIT_PREFIX = 'SLUICE_LIMIT_'

/** `fileBytesMax` is `SLUICE_LIMIT_FILE_BYTES_MAX`; each stands with its reason in the core's limits.ts. */
export const LIMIT_VARIABLES: readonly { limit: keyof Limits; variable: Variable<number> }[] = Object.keys(DEFAULT_LIMITS)
  .filter((name) => isLimit(name))
  .map((limit) => ({ limit, variable: limitVariable(limit) }))

/** For help texts and documentation: the default as it would be written, empty where there is none. */
export function describeVariables(): { name: string; meaning: string; byDefault: string }[] {
  const variables: Variable<string | number | boolean | readonly string[] | null>[] = [
    ...Object.values(VARIABLES),
    ...LIMIT_VARIABLES.map(({ variable }) => variable),
  ]
  return variables.map(({ name, meaning, byDefault, defaultText }) => ({
    name,
    meaning,
    byDefault: defaultText ?? byDefault?.toString() ?? '',
  }))
}

function isLimit(name: string): name is keyof Limits {
  return Object.hasOwn(DEFAULT_LIMITS, name)
}

function limitVariable(limit: keyof Limits): Variable<number> {
  const name = LIMIT_PREFIX + limit.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
  // A longer wait than 2^31-1 ms makes Node's timers fire at once.
  const most = /Ms/.test(limit) ? 2 ** 31 - 1 : Number.MAX_SAFE_INTEGER
  return { ...integer(name, `The limit \`${limit}\`.`, 1, most), byDefault: DEFAULT_LIMITS[limit] }
}

// ── Kinds of variables ──────────────────────────────────────────────────────────────────────────────────────────────

function url(name: string, meaning: string, protocols: readonly string[]): Variable<string | null> {
  const parse = (text: string) => (URL.canParse(text) && protocols.includes(new URL(text).protocol) ? text : undefined)
  // It may hold a password.
  return { name, meaning, allowed: `a URL of ${protocols.join(' or ')}`, parse, byDefault: null, secret: true }
}

function origin(name: string, meaning: string): Variable<string | null> {
  const parse = (text: string) =>
    /^https?:\/\/[^/?#@\s]+\/?$/.test(text) && URL.canParse(text) ? new URL(text).origin : undefined
  return { name, meaning, allowed: 'a URL of http: or https: without a path', parse, byDefault: null }
}

function secret(name: string, meaning: string, lengthMin = 1): Variable<string | null> {
  const parse = (text: string) => (/^[\x21-\x7e]+$/.test(text) && text.length >= lengthMin ? text : undefined)
  const allowed = `visible ASCII without spaces${lengthMin > 1 ? `, ${lengthMin} characters or more,` : ''}`
  return { name, meaning, allowed, parse, byDefault: null, secret: true }
}

function directory(name: string, meaning: string): Variable<string | null> {
  return { name, meaning, allowed: 'a path', parse: (text) => resolve(text), byDefault: null }
}

function word<Value extends string | null>(name: string, meaning: string, byDefault: Value): Variable<string | Value> {
  return { name, meaning, allowed: 'a word without spaces', parse: (text) => (/\s/.test(text) ? undefined : text), byDefault }
}

function bucket(name: string, meaning: string): Variable<string | null> {
  // https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
  const parse = (text: string) => (/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/.test(text) ? text : undefined)
  return { name, meaning, allowed: 'a name of 3 to 63 of a-z, 0-9, dots and hyphens', parse, byDefault: null }
}

function integer(name: string, meaning: string, least: number, most: number): Variable<number> {
  const parse = (text: string) => {
    const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN
    return number >= least && number <= most ? number : undefined
  }
  return { name, meaning, allowed: `a whole number from ${least} to ${most}`, parse, byDefault: least }
}

function optional<Value>(variable: Variable<Value>): Variable<Value | null> {
  return { ...variable, byDefault: null }
}

function port(name: string, meaning: string, byDefault: number): Variable<number> {
  return { ...integer(name, `${meaning} 0 takes a free one.`, 0, 65_535), byDefault }
}

function flag(name: string, meaning: string, byDefault: boolean): Variable<boolean> {
  const words = new Map([
    ['true', true],
    ['1', true],
    ['false', false],
    ['0', false],
  ])
  return { name, meaning, allowed: 'true or false', parse: (text) => words.get(text.toLowerCase()), byDefault }
}

function logLevel(name: string, meaning: string): Variable<LogLevel | null> {
  const parse = (text: string) => LOG_LEVELS.find((level) => level === text)
  return { name, meaning, allowed: `one of ${LOG_LEVELS.join(', ')}`, parse, byDefault: null }
}

function roles(name: string, meaning: string): Variable<readonly string[]> {
  const parse = (text: string) => {
    const names = text.split(',').map((role) => role.trim())
    const isGood = names.every((role) => /^[a-z][a-z0-9_]{0,63}$/.test(role)) && names.includes(MAIN_ROLE)
    return isGood ? [...new Set(names)] : undefined
  }
  return { name, meaning, allowed: `a list of a-z, 0-9 and _ with \`${MAIN_ROLE}\` in it`, parse, byDefault: DEFAULT_ROLES }
}

/** The largest private networks: a list that trusts half of the internet is a mistake. */
const PREFIX_MIN = { 4: 8, 6: 7 } as const

function networks(name: string, meaning: string): Variable<readonly string[]> {
  const isNetwork = (text: string) => {
    const [address = '', prefix, ...rest] = text.split('/')
    const version = isIP(address)
    if ((version !== 4 && version !== 6) || address.includes('%') || rest.length > 0) return false
    if (prefix === undefined) return true
    return /^\d{1,3}$/.test(prefix) && Number(prefix) >= PREFIX_MIN[version] && Number(prefix) <= (version === 4 ? 32 : 128)
  }
  const parse = (text: string) => {
    const places = text.split(',').map((place) => place.trim())
    return places.every(isNetwork) ? places : undefined
  }
  const allowed = 'a list of addresses and networks (10.0.0.0/8, fc00::/7 or smaller)'
  return { name, meaning, allowed, parse, byDefault: [], defaultText: '' }
}

/** As `URL` has them, so that what is compared is spelt alike. */
function servers(name: string, meaning: string): Variable<readonly string[]> {
  const parse = (text: string) => {
    const places = text.split(',').map((place) => /^([^\s/?#@\\]+):(\d{1,5})$/.exec(place.trim()))
    const known = places.map((place) => ({ host: URL.parse(`http://${place?.[1]}`), port: Number(place?.[2]) }))
    const isGood = known.every(({ host, port }) => host !== null && host.port === '' && port >= 1 && port <= 65_535)
    return isGood ? known.map(({ host, port }) => `${host?.hostname}:${port}`) : undefined
  }
  return { name, meaning, allowed: 'a list of host:port', parse, byDefault: [], defaultText: '' }
}
