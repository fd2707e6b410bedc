import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Config } from './config.ts'
import { StartError } from './lifecycle-start-error.ts'

type Known = Pick<Config, 'secretKey' | 'dataDir'>

/** The configured key, or the one that the data directory keeps; made on the first start. */
export async function keepSecretKey({ secretKey, dataDir }: Known): Promise<string> {
  if (secretKey !== null) return secretKey
  await mkdir(dataDir, { recursive: true })
  // Whoever comes second reads what the first has written.
  await writeFile(fileOf(dataDir), randomBytes(32).toString('base64url'), { flag: 'wx', mode: 0o600 }).catch((error: unknown) => {
    if (!isError(error, 'EEXIST')) throw new StartError(`${fileOf(dataDir)} cannot be written.`, error)
  })
  return readKept(dataDir)
}

/** The key of an installation that has run before. Several processes cannot each make one of their own. */
export async function requireSecretKey({ secretKey, dataDir }: Known): Promise<string> {
  return secretKey ?? readKept(dataDir)
}

async function readKept(dataDir: string): Promise<string> {
  const kept = await readFile(fileOf(dataDir), 'utf8').catch((error: unknown) => {
    throw new StartError(
      'SLUICE_SECRET_KEY is missing: "openssl rand -hex 32" makes one. It must be the same for all intakes and workers.',
      error,
    )
  })
  if (kept.length >= 32) return kept
  throw new StartError(
    `${fileOf(dataDir)} is damaged: restore it, or remove it to get a new one, which makes links that were given out void.`,
  )
}

function fileOf(dataDir: string): string {
  return join(dataDir, 'secret-key')
}

function isError(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
