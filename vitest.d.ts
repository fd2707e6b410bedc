import 'vitest'
import type { S3Address } from './e2e/servers/s3.ts'

declare module 'vitest' {
  /** What tests of the projects `drivers` and `e2e` get from `inject(…)`. */
  interface ProvidedContext {
    /** The superuser's, to a database that nobody uses: make one of your own. */
    postgresUrl: string
    /** Null on a machine without `redis-server`: such tests are skipped. */
    redisUrl: string | null
    s3: S3Address
  }
}
