import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { openChild } from '@sluice/runtime/child'
import { findFreePort } from '@sluice/runtime/embedded-postgres'
import { buildApp } from 'fauxqs'
import { openTestDirectory } from './directory.ts'
import { findOnPath, firstExecutable } from './programs.ts'

/** What the `minio` client takes. */
export interface S3Address {
  readonly kind: 'minio' | 'fauxqs'
  readonly endPoint: string
  readonly port: number
  readonly accessKey: string
  readonly secretKey: string
}

export type TestS3 = S3Address & AsyncDisposable

const READY_MS_MAX = 20_000
const STOP_MS_MAX = 5_000
const HOST = '127.0.0.1'
const LOCAL_BINARY = join(import.meta.dirname, '../../.sluice/bin/minio')

/** A MinIO where there is one; otherwise a stand-in inside this process, which checks no signatures. */
export async function openTestS3(options: { port?: number } = {}): Promise<TestS3> {
  const minio = await findMinio()
  return minio === null ? openFauxqs(options.port ?? 0) : openMinio(minio, options.port ?? (await findFreePort()))
}

async function findMinio(): Promise<string | null> {
  const named = process.env['SLUICE_MINIO_BIN']
  return (await firstExecutable(named ? [named] : [])) ?? (await findOnPath('minio')) ?? (await firstExecutable([LOCAL_BINARY]))
}

async function openMinio(command: string, port: number): Promise<TestS3> {
  const credentials = { accessKey: `test-${randomBytes(6).toString('hex')}`, secretKey: randomBytes(20).toString('hex') }
  await using stack = new AsyncDisposableStack()
  const directory = stack.use(await openTestDirectory('minio'))
  const server = stack.use(
    await openChild({
      command,
      arguments: ['server', '--address', `${HOST}:${port}`, join(directory.path, 'data')],
      environment: {
        HOME: directory.path,
        MINIO_ROOT_USER: credentials.accessKey,
        MINIO_ROOT_PASSWORD: credentials.secretKey,
        MINIO_BROWSER: 'off',
        MINIO_UPDATE: 'off',
      },
      stopSignals: ['SIGTERM'],
      graceMs: STOP_MS_MAX,
    }),
  )
  // It prints its address when it answers; before that, S3 requests get "server not initialized".
  await server.untilOutput(/^API: /, READY_MS_MAX)
  const opened = stack.move()
  return { kind: 'minio', endPoint: HOST, port, ...credentials, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

async function openFauxqs(port: number): Promise<TestS3> {
  // Its own `startFauxqs` listens on every interface.
  const server = buildApp({ logger: false, host: HOST })
  const address = new URL(await server.listen({ port, host: HOST }))
  return {
    kind: 'fauxqs',
    endPoint: HOST,
    port: Number(address.port),
    accessKey: 'test',
    secretKey: 'test-secret',
    [Symbol.asyncDispose]: () => server.close(),
  }
}
