import type { TestProject } from 'vitest/node'
import { openTestPostgres } from './postgres.ts'
import { openTestRedis } from './redis.ts'
import { openTestS3 } from './s3.ts'

/**
 * Vitest calls this for each project that has files to run and names this file. The first call starts the servers and gives
 * their addresses to the root project, from which all projects inherit; the next ones find them there.
 */
export default async function setup(project: TestProject): Promise<(() => Promise<void>) | undefined> {
  const root = project.vitest.getRootProject()
  if ('postgresUrl' in root.getProvidedContext()) return undefined

  await using stack = new AsyncDisposableStack()
  const postgres = stack.use(await openTestPostgres())
  const redis = stack.use(await openTestRedis())
  const s3 = stack.use(await openTestS3())
  const absent = [...(redis ? [] : [NO_REDIS]), ...(s3.kind === 'minio' ? [] : [NO_MINIO])]
  refuseWhatIsRequired(absent)
  project.vitest.logger.log(
    `Tests run on PostgreSQL, ${redis ? 'Redis, ' : ''}${s3.kind === 'minio' ? 'MinIO' : 'fauxqs as S3'}.`,
  )
  for (const { sentence } of absent) project.vitest.logger.log(sentence)

  root.provide('postgresUrl', postgres.url)
  root.provide('redisUrl', redis?.url ?? null)
  const { kind, endPoint, port, accessKey, secretKey } = s3
  root.provide('s3', { kind, endPoint, port, accessKey, secretKey })
  const servers = stack.move()
  return () => servers.disposeAsync()
}

interface Absence {
  readonly name: string
  readonly sentence: string
}

const NO_REDIS: Absence = {
  name: 'redis',
  sentence: 'There is no redis-server on PATH, so tests on Redis are skipped. Debian: apt-get install redis-server.',
}

const NO_MINIO: Absence = {
  name: 'minio',
  sentence:
    'There is no MinIO, so an in-process S3 stands in for it. Name a binary with SLUICE_MINIO_BIN, or run .ci/run to build one.',
}

/** What SLUICE_TEST_REQUIRE names must be there: CI cannot skip in silence. */
function refuseWhatIsRequired(absent: readonly Absence[]): void {
  const required = new Set((process.env['SLUICE_TEST_REQUIRE'] ?? '').split(',').map((name) => name.trim()))
  const refused = absent.find(({ name }) => required.has(name))
  if (refused) throw new Error(`SLUICE_TEST_REQUIRE names ${refused.name}. ${refused.sentence}`)
}
