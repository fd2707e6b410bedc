import { execFile } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { oauth1Credentials, type TokenId } from '@sluice/core'
import { openDatabase } from '@sluice/database'
import { createTestDatabase, type TestDatabase } from '@sluice/database/testing'

const PROGRAM = resolve(import.meta.dirname, '../../services/cli/src/main.ts')
const SECRET_KEY = 'a-secret-key-that-is-long-enough-to-be-one'

describe('sluice token oauth', () => {
  let database: TestDatabase
  let directory: string
  let id: string

  beforeAll(async () => {
    database = await createTestDatabase(inject('postgresUrl'))
    directory = await mkdtemp(join(tmpdir(), 'sluice-keys-'))
    await sluice('token', 'create', '--name', 'shop')
    const { stdout } = await sluice('token', 'list')
    id = /[0-9a-f-]{36}/.exec(stdout)?.[0] ?? ''
  })
  afterAll(async () => {
    await database[Symbol.asyncDispose]()
    await rm(directory, { recursive: true, force: true })
  })

  /** Rejects when the command fails; its `stderr` says why. */
  function sluice(...words: string[]) {
    const env = { SLUICE_DATABASE_URL: database.url, SLUICE_DATA_DIR: directory, SLUICE_SECRET_KEY: SECRET_KEY }
    return promisify(execFile)(process.execPath, [PROGRAM, ...words], { env })
  }

  async function fileOf(name: string, text: string): Promise<string> {
    const path = join(directory, name)
    await writeFile(path, text)
    return path
  }

  const findPublicKey = async () => {
    await using opened = await openDatabase({ url: database.url, poolMax: 1, applicationName: 'test' })
    return await opened.tokens.findPublicKey(id as TokenId)
  }

  test('shows the four values that the API checks signatures with, each time the same', async () => {
    const { consumerKey, consumerSecret, token, tokenSecret } = oauth1Credentials(SECRET_KEY, id as TokenId)
    const { stdout } = await sluice('token', 'oauth', id)
    expect(stdout.match(/\S+$/gm)).toEqual([consumerKey, consumerSecret, token, tokenSecret])
    expect((await sluice('token', 'oauth', id)).stdout).toBe(stdout)
  })

  test('keeps the public half of an RSA key, and nothing of the private one', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', {
      modulusLength: 2048,
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    })
    for (const [name, pem] of [
      ['public.pem', publicKey],
      ['private.pem', privateKey],
    ] as const) {
      const { stdout } = await sluice('token', 'oauth', id, '--public-key', await fileOf(name, pem))
      expect(stdout).toContain('RSA-SHA1')
      expect(await findPublicKey()).toBe(publicKey)
    }
  })

  test('refuses a file that is no RSA key, and keeps the key that is there', async () => {
    const before = await findPublicKey()
    const { publicKey } = generateKeyPairSync('ed25519', {
      publicKeyEncoding: { type: 'spki', format: 'pem' },
      privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
    })
    for (const text of [publicKey, 'no key at all', '']) {
      const path = await fileOf('other.pem', text)
      await expect(sluice('token', 'oauth', id, '--public-key', path)).rejects.toMatchObject({
        code: 1,
        stderr: `${path} is not the PEM file of an RSA public key.\n`,
      })
    }
    const absent = join(directory, 'absent.pem')
    await expect(sluice('token', 'oauth', id, '--public-key', absent)).rejects.toMatchObject({
      stderr: expect.stringContaining(`${absent} cannot be read.`),
    })
    expect(await findPublicKey()).toBe(before)
  })

  test('knows only tokens that are active', async () => {
    const unknown = '0197f1c2-3a4b-7c5d-8e6f-0123456789ab'
    const said = (token: string) => `There is no active token ${token}: "sluice token list" shows them all.\n`
    for (const token of [unknown, 'shop']) {
      await expect(sluice('token', 'oauth', token)).rejects.toMatchObject({ code: 1, stderr: said(token) })
    }
    await sluice('token', 'revoke', id)
    await expect(sluice('token', 'oauth', id)).rejects.toMatchObject({ code: 1, stderr: said(id) })
  })
})
