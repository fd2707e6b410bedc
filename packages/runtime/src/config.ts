import { join } from 'node:path'
import { DEFAULT_LIMITS, type Limits, type Policy } from '@sluice/core'
import { LIMIT_PREFIX, LIMIT_VARIABLES, VARIABLES, type LogLevel, type Variable } from './config-variables.ts'
import { StartError } from './lifecycle-start-error.ts'

/** All that an operator decides, checked. Nothing else reads the environment. */
export interface Config {
  readonly dataDir: string
  readonly database: DatabaseConfig
  readonly queue: QueueConfig
  readonly objects: ObjectsConfig
  readonly http: Listen
  readonly console: Listen
  readonly ops: Listen
  readonly bootstrapToken: string | null
  readonly secretKey: string | null
  readonly policy: Policy
  /** `host:port` of servers that need not be public to be fetched from. */
  readonly fetchAllow: readonly string[]
  /** Addresses and networks. */
  readonly trustedProxies: readonly string[]
  /** Null: the process decides. */
  readonly logLevel: LogLevel | null
  readonly worker: { readonly concurrency: number }
  readonly decoder: { readonly processes: number }
  readonly limits: Limits
}

type DatabaseConfig = { readonly poolMax: number } & (
  | { readonly kind: 'embedded'; readonly dataDir: string }
  | { readonly kind: 'url'; readonly url: string }
)

export type QueueConfig = { readonly kind: 'postgres' } | { readonly kind: 'redis'; readonly url: string }

export type ObjectsConfig =
  | { readonly kind: 'filesystem'; readonly dir: string }
  | {
      readonly kind: 'minio'
      readonly endpoint: string
      readonly publicEndpoint: string | null
      readonly accessKey: string
      readonly secretKey: string
      readonly region: string
      readonly bucket: string
      readonly staging: StagingConfig
    }

/** A volume spares one trip over the network; a bucket is for intake and worker on different hosts. */
type StagingConfig = { readonly kind: 'volume'; readonly dir: string } | { readonly kind: 'bucket'; readonly bucket: string }

export interface Listen {
  readonly host: string
  readonly port: number
}

type Environment = Readonly<Record<string, string | undefined>>

/** Everything is read before anything is refused, so that one start tells all that is wrong. */
export function readConfig(environment: Environment): Config {
  const source = readerOf(environment)
  const { read } = source
  const dataDir = read(VARIABLES.dataDir) ?? ''
  const config: Config = {
    dataDir,
    database: readDatabase(source, dataDir),
    queue: readQueue(source),
    objects: readObjects(source, dataDir),
    http: { host: read(VARIABLES.httpHost), port: read(VARIABLES.httpPort) },
    console: { host: read(VARIABLES.consoleHost), port: read(VARIABLES.consolePort) },
    ops: { host: read(VARIABLES.opsHost), port: read(VARIABLES.opsPort) },
    bootstrapToken: read(VARIABLES.bootstrapToken),
    secretKey: read(VARIABLES.secretKey),
    policy: {
      keepGps: read(VARIABLES.keepGps),
      roles: read(VARIABLES.roles),
      guestTenant: read(VARIABLES.guestTenant),
      publicUrl: read(VARIABLES.publicUrl),
    },
    fetchAllow: read(VARIABLES.fetchAllow),
    trustedProxies: read(VARIABLES.trustedProxies),
    logLevel: read(VARIABLES.logLevel),
    worker: { concurrency: read(VARIABLES.workerConcurrency) },
    decoder: { processes: read(VARIABLES.decoderProcesses) },
    limits: readLimits(source, environment),
  }
  const problems = [...new Set(source.problems), ...sharedPorts(config), ...contradictions(config.limits)]
  if (problems.length > 0) throw new StartError(report(problems))
  return config
}

interface Reader {
  readonly read: <Value>(variable: Variable<Value>) => Value
  readonly isSet: (variable: Variable<unknown>) => boolean
  readonly problems: string[]
}

/** An empty variable counts as none: that is how compose files pass on what is not set. */
function readerOf(environment: Environment): Reader {
  const problems: string[] = []
  const textOf = (variable: Variable<unknown>) => environment[variable.name]?.trim() ?? ''
  return {
    problems,
    isSet: (variable) => textOf(variable) !== '',
    read: (variable) => {
      const text = textOf(variable)
      if (text === '') return variable.byDefault
      const value = variable.parse(text)
      if (value !== undefined) return value
      const got = variable.secret ? 'not allowed as it is' : JSON.stringify(text)
      problems.push(`${variable.name} is ${got}: ${variable.allowed} is allowed.`)
      return variable.byDefault
    },
  }
}

function readDatabase({ read, problems }: Reader, dataDir: string): DatabaseConfig {
  const url = read(VARIABLES.databaseUrl)
  const concurrency = read(VARIABLES.workerConcurrency)
  const poolMax = read(VARIABLES.databasePoolMax) ?? concurrency + SPARE_CONNECTIONS
  if (poolMax <= concurrency) {
    problems.push(`SLUICE_DATABASE_POOL_MAX is ${poolMax}: it must be above SLUICE_WORKER_CONCURRENCY (${concurrency}).`)
  }
  return url === null ? { kind: 'embedded', dataDir: join(dataDir, 'postgres'), poolMax } : { kind: 'url', url, poolMax }
}

/** For what is not an ingest: requests, the relay, upkeep. A saturated pool mixes transactions up (porsager/postgres#823). */
const SPARE_CONNECTIONS = 16

function readQueue({ read, isSet, problems }: Reader): QueueConfig {
  if (isSet(VARIABLES.redisUrl) && !isSet(VARIABLES.databaseUrl)) {
    problems.push(
      'SLUICE_REDIS_URL is set without SLUICE_DATABASE_URL: an embedded database needs no Redis. Set both or neither.',
    )
  }
  const url = read(VARIABLES.redisUrl)
  return url === null ? { kind: 'postgres' } : { kind: 'redis', url }
}

function readObjects(reader: Reader, dataDir: string): ObjectsConfig {
  const { read, isSet, problems } = reader
  if (!isSet(VARIABLES.s3Endpoint)) {
    const useless = S3_ONLY.filter((variable) => isSet(variable)).map(({ name }) => name)
    if (useless.length > 0)
      problems.push(`${useless.join(' and ')} mean nothing without SLUICE_S3_ENDPOINT. Set that, or remove them.`)
    return { kind: 'filesystem', dir: join(dataDir, 'objects') }
  }
  const required = [VARIABLES.s3AccessKey, VARIABLES.s3SecretKey].filter((variable) => !isSet(variable))
  for (const { name } of required) problems.push(`${name} is missing: SLUICE_S3_ENDPOINT needs it.`)
  const bucket = read(VARIABLES.s3Bucket) ?? ''
  return {
    kind: 'minio',
    endpoint: read(VARIABLES.s3Endpoint) ?? '',
    publicEndpoint: read(VARIABLES.s3PublicEndpoint),
    accessKey: read(VARIABLES.s3AccessKey) ?? '',
    secretKey: read(VARIABLES.s3SecretKey) ?? '',
    region: read(VARIABLES.s3Region),
    bucket,
    staging: readStaging(reader, bucket),
  }
}

const { s3PublicEndpoint, s3AccessKey, s3SecretKey, s3Bucket, s3StagingBucket, s3StagingDir } = VARIABLES
const S3_ONLY: readonly Variable<unknown>[] = [
  s3PublicEndpoint,
  s3AccessKey,
  s3SecretKey,
  s3Bucket,
  s3StagingBucket,
  s3StagingDir,
]

function readStaging({ read, problems }: Reader, blobs: string): StagingConfig {
  const dir = read(VARIABLES.s3StagingDir)
  const bucket = read(VARIABLES.s3StagingBucket)
  if (dir !== null && bucket !== null) {
    problems.push('SLUICE_S3_STAGING_BUCKET and SLUICE_S3_STAGING_DIR are both set: bytes are staged in one place. Remove one.')
  }
  if (bucket === blobs) problems.push('SLUICE_S3_STAGING_BUCKET is the bucket of verified files: give it a name of its own.')
  return dir === null ? { kind: 'bucket', bucket: bucket ?? `${blobs}-staging` } : { kind: 'volume', dir }
}

function readLimits({ read, problems }: Reader, environment: Environment): Limits {
  const limits: Record<keyof Limits, number> = { ...DEFAULT_LIMITS }
  for (const { limit, variable } of LIMIT_VARIABLES) limits[limit] = read(variable)
  // A misspelt bound would otherwise be no bound, and nobody would know.
  const known = new Set(LIMIT_VARIABLES.map(({ variable }) => variable.name))
  const unknown = Object.keys(environment).filter((name) => name.startsWith(LIMIT_PREFIX) && !known.has(name))
  for (const name of unknown) problems.push(`${name} is no limit of Sluice: see the list of variables.`)
  return limits
}

function sharedPorts({ http, console, ops }: Config): string[] {
  const places = Object.entries({ SLUICE_HTTP_PORT: http, SLUICE_CONSOLE_PORT: console, SLUICE_OPS_PORT: ops })
  return places.flatMap(([name, { host, port }], index) => {
    const earlier = places.slice(0, index).find(([, other]) => port !== 0 && other.port === port && other.host === host)
    return earlier ? [`${name} and ${earlier[0]} are both ${port}: give each a port of its own.`] : []
  })
}

/** Bounds that only work together. */
function contradictions(limits: Limits): string[] {
  const pairs = [
    ['ingestMsMax', 'reconcileAfterMs', 'or ingests that still run are started again'],
    ['jobLockMs', 'reconcileAfterMs', 'or jobs of a dead worker are queued anew before the queue has given them to another'],
    ['requestMsMax', 'idempotencyLeaseMs', 'or a slow request loses its Idempotency-Key'],
    ['requestMsMax', 'stagedMsMax', 'or the bytes of a slow request are swept before its end'],
    ['uploadMsMax', 'stagedMsMax', 'or the bytes of an upload are swept before it is over'],
    ['removalMsMax', 'removalTakeoverMs', 'or bytes that came again are removed by whoever comes late'],
    ['ingestMsMax', 'removalsKeptMs', 'or files are made of bytes that are gone'],
    ['webhookSendMsMax', 'webhookLeaseMs', 'or what is still being sent is sent again'],
  ] as const
  return pairs
    .filter(([less, more]) => limits[less] >= limits[more])
    .map(([less, more, reason]) => `The limit ${less} (${limits[less]}) must be below ${more} (${limits[more]}), ${reason}.`)
}

function report(problems: readonly string[]): string {
  const [first, ...rest] = problems
  if (first !== undefined && rest.length === 0) return first
  return [`The configuration has ${problems.length} problems:`, ...problems.map((problem) => `- ${problem}`)].join('\n')
}
