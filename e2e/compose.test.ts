import { readFileSync } from 'node:fs'
import { DEFAULT_LIMITS } from '@sluice/core'
import { describeVariables } from '@sluice/runtime'
import { describe, expect, test } from 'vitest'
import { parse } from 'yaml'

interface Service {
  readonly image: string
  readonly command?: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly networks?: readonly string[]
  readonly [key: string]: unknown
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>
  readonly networks: Readonly<Record<string, { readonly internal?: boolean } | null>>
  readonly volumes: Readonly<Record<string, unknown>>
}

const read = (name: string) => readFileSync(new URL(`../${name}`, import.meta.url), 'utf8')
const text = read('docker-compose.yml')
const compose = parse(text, { merge: true }) as Compose
const services = Object.entries(compose.services)
const OURS = ['migrate', 'intake', 'worker', 'console']
const STORES = ['postgres', 'redis', 'minio']

function service(name: string): Service {
  const found = compose.services[name]
  if (!found) throw new Error(`there is no service ${name}`)
  return found
}

test('has the services that the documentation speaks of, and no others', () => {
  expect(Object.keys(compose.services).toSorted()).toEqual([...OURS, ...STORES].toSorted())
})

describe('the order of the start', () => {
  test.each([
    ['migrate', { postgres: 'service_healthy' }],
    ['intake', { migrate: 'service_completed_successfully', minio: 'service_healthy' }],
    ['worker', { migrate: 'service_completed_successfully', minio: 'service_healthy', redis: 'service_healthy' }],
    ['console', { migrate: 'service_completed_successfully', minio: 'service_healthy', redis: 'service_healthy' }],
  ])('%s waits for what it needs', (name, conditions) => {
    const waits = Object.entries(service(name).depends_on ?? {}).map(([other, { condition }]) => [other, condition])
    expect(Object.fromEntries(waits)).toEqual(conditions)
  })

  test('the migration runs once, and every other service is restarted and has a health check', () => {
    for (const [name, { restart, healthcheck }] of services) {
      expect([name, restart, healthcheck !== undefined]).toEqual(
        name === 'migrate' ? [name, 'no', false] : [name, 'unless-stopped', true],
      )
    }
  })
})

describe('what can be reached', () => {
  test('only the API and the console are published, and only on this host', () => {
    const published = services.flatMap(([name, { ports = [] }]) => ports.map((port) => [name, port]))
    expect(published).toEqual([
      ['intake', '127.0.0.1:8080:8080'],
      ['console', '127.0.0.1:8081:8081'],
    ])
  })

  test('stores have no way out', () => {
    expect(compose.networks['backend']).toEqual({ internal: true })
    for (const name of [...STORES, 'migrate']) expect([name, service(name).networks]).toEqual([name, ['backend']])
  })

  test('services listen beyond their container where somebody is to reach them', () => {
    expect(service('intake').environment).toMatchObject({ SLUICE_HTTP_HOST: '0.0.0.0', SLUICE_OPS_HOST: '0.0.0.0' })
    expect(service('console').environment).toMatchObject({ SLUICE_CONSOLE_HOST: '0.0.0.0' })
  })
})

test('redis keeps what it acknowledged and refuses what it cannot keep', () => {
  const line = service('redis').command?.join(' ')
  for (const flag of ['--appendonly yes', '--appendfsync everysec', '--maxmemory-policy noeviction', '--requirepass ']) {
    expect(line).toContain(flag)
  }
})

test('every store keeps its data in a volume of its own', () => {
  for (const name of STORES) {
    expect(service(name).volumes?.map((volume) => volume.split(':')[0])).toEqual([name])
    expect(compose.volumes).toHaveProperty(name)
  }
})

test('intake and workers share the volume in which bytes are staged', () => {
  for (const name of ['intake', 'worker', 'console']) {
    expect(service(name)).toMatchObject({ volumes: ['staging:/staging'], environment: { SLUICE_S3_STAGING_DIR: '/staging' } })
  }
})

test('any number of workers can run', () => {
  expect(service('worker')).not.toHaveProperty('container_name')
  expect(service('worker')).not.toHaveProperty('ports')
})

test('our services are confined, and may take as long to stop as their work may take to end', () => {
  for (const name of OURS) {
    const { stop_grace_period: grace, ...rest } = service(name)
    expect(rest).toMatchObject({ read_only: true, init: true, cap_drop: ['ALL'], security_opt: ['no-new-privileges:true'] })
    expect(rest).toHaveProperty('mem_limit')
    expect(seconds(grace) * 1_000).toBeGreaterThan(DEFAULT_LIMITS.shutdownMsMax)
  }
  expect(read('Dockerfile')).toMatch(/^USER [1-9]\d*:[1-9]\d*$/m)
})

test('a worker has the memory that its decoders may take', () => {
  const { mem_limit: memory, environment } = service('worker')
  const decoders = Number(/:-(\d+)\}$/.exec(environment?.['SLUICE_IMAGES_DECODER_PROCESSES'] ?? '')?.[1])
  expect(Number.parseInt(String(memory), 10) * 1024 ** 3).toBeGreaterThan(decoders * DEFAULT_LIMITS.decodeMemoryBytesMax)
})

test('every image is pinned, in the Dockerfile too', () => {
  const bases = Array.from(read('Dockerfile').matchAll(/^FROM (\S+)/gm), ([, image]) => image ?? '')
  expect(bases.length).toBeGreaterThan(0)
  for (const image of [...services.map(([, { image }]) => image), ...bases]) {
    expect(image).toMatch(/:(\d+\.\d+(\.\d+)?(-\w+)*|RELEASE\.[0-9TZ-]+)$/)
  }
})

test('every variable is one that Sluice reads', () => {
  const known = new Set(describeVariables().map(({ name }) => name))
  const used = new Set(
    [...text.matchAll(/SLUICE_[A-Z0-9_]+/g), ...read('.env.example').matchAll(/SLUICE_[A-Z0-9_]+/g)].map(([name]) => name),
  )
  expect([...used].filter((name) => !known.has(name))).toEqual([])
})

test('no password has a default, and the example asks for each', () => {
  const required = new Set(Array.from(text.matchAll(/\$\{(\w+):\?/g), ([, name]) => name ?? ''))
  expect([...required].toSorted()).toEqual(['MINIO_ROOT_PASSWORD', 'POSTGRES_PASSWORD', 'REDIS_PASSWORD', 'SLUICE_SECRET_KEY'])
  expect(text).not.toMatch(/PASSWORD:?-/)
  for (const name of required) expect(read('.env.example')).toContain(`\n${name}=\n`)
})

function seconds(duration: unknown): number {
  const match = typeof duration === 'string' ? /^(\d+)s$/.exec(duration) : null
  return Number(match?.[1])
}
