import { openEmbeddedPostgres } from '@sluice/runtime/embedded-postgres'
import { openTestDirectory } from './directory.ts'

export interface TestPostgres extends AsyncDisposable {
  /** The superuser's: he may create and drop databases. */
  readonly url: string
}

export async function openTestPostgres(options: { port?: number } = {}): Promise<TestPostgres> {
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await openTestDirectory('postgres'))
  const { url } = stack.use(await openEmbeddedPostgres({ dataDir: directory.path, durable: false, ...options }))
  const opened = stack.move()
  return { url, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}
