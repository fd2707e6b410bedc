import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { keepSecretKey, requireSecretKey } from './secret-key.ts'

let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'sluice-secret-'))
})
afterEach(() => rm(dataDir, { recursive: true }))

test('makes one key for all that start at once, and keeps it for its owner only', async () => {
  const keys = await Promise.all([1, 2, 3, 4].map(() => keepSecretKey({ secretKey: null, dataDir: join(dataDir, 'new') })))
  expect(new Set(keys).size).toBe(1)
  expect(keys[0]).toMatch(/^[\w-]{43}$/)
  expect((await stat(join(dataDir, 'new/secret-key'))).mode & 0o777).toBe(0o600)
  expect(await requireSecretKey({ secretKey: null, dataDir: join(dataDir, 'new') })).toBe(keys[0])
})

test('takes the configured one before all others', async () => {
  await keepSecretKey({ secretKey: null, dataDir })
  expect(await keepSecretKey({ secretKey: 'configured', dataDir })).toBe('configured')
  expect(await requireSecretKey({ secretKey: 'configured', dataDir })).toBe('configured')
})

test('says what is missing, and what is damaged', async () => {
  await expect(requireSecretKey({ secretKey: null, dataDir })).rejects.toThrow(/SLUICE_SECRET_KEY is missing/)
  await writeFile(join(dataDir, 'secret-key'), 'short')
  await expect(keepSecretKey({ secretKey: null, dataDir })).rejects.toThrow(/is damaged/)
})
