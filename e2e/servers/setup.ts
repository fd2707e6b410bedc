import type { TestProject } from 'vitest/node'
import { openTestPostgres } from './postgres.ts'
import { openTestRedis } from './redis.ts'
import { openTestS3, type TestS3 } from './s3.ts'

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
  for (const sentence of missing(redis !== null, s3)) project.vitest.logger.log(sentence)

  root.provide('postgresUrl', postgres.url)
  root.provide('redisUrl', redis?.url ?? null)
  const { kind, endPoint, port, accessKey, secretKey } = s3
  root.provide('s3', { kind, endPoint, port, accessKey, secretKey })
  const servers = stack.move()
  return () => servers.disposeAsync()
}

/** What is not tested on this machine, and how to get it. Throws for what SLUICE_TEST_REQUIRE names, so that CI cannot skip in silence. */
function missing(hasRedis: boolean, s3: TestS3): string[] {
  const required = new Set((process.env['SLUICE_TEST_REQUIRE'] ?? '').split(',').map((name) => name.trim()))
  const absent = [
    ...(hasRedis
      ? []
      : [['redis', 'No redis-server on PATH: tests on Redis are skipped. Install it (Debian: apt-get install redis-server).']]),
    ...(s3.kind === 'minio'
      ? []
      : [
          [
            'minio',
            'No MinIO: an in-process S3 (fauxqs) stands in. Name a binary with SLUICE_MINIO_BIN to test on the real one.',
          ],
        ]),
  ] as const
  for (const [name, sentence] of absent) {
    if (name !== undefined && required.has(name)) throw new Error(`SLUICE_TEST_REQUIRE names ${name}. ${sentence}`)
  }
  return absent.map(([, sentence]) => sentence ?? '')
}
