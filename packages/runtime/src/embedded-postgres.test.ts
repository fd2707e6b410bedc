import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import postgres from 'postgres'
import { afterEach, beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest'
import { findPlace } from './embedded-postgres-place.ts'
import { findFreePort, openEmbeddedPostgres, type EmbeddedPostgres } from './embedded-postgres.ts'
import { StartError } from './lifecycle-start-error.ts'

const isRoot = process.getuid?.() === 0

let home: string
let dataDir: string

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'sluice-embedded-'))
  await chmod(home, 0o711)
  dataDir = join(home, 'data')
})

afterEach(async () => {
  await rm(home, { recursive: true, force: true, maxRetries: 5 })
})

async function query(server: EmbeddedPostgres, statement: string): Promise<Record<string, unknown>[]> {
  const sql = postgres(server.url, { max: 1, connect_timeout: 10, onnotice: () => {} })
  try {
    return await sql.unsafe(statement)
  } finally {
    await sql.end()
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('openEmbeddedPostgres', () => {
  it('gives a durable UTF-8 database that only this machine and only the password opens', async () => {
    await using server = await openEmbeddedPostgres({ dataDir })
    const [row] = await query(
      server,
      `select current_database() as database, current_setting('server_encoding') as encoding, current_setting('fsync') as fsync,
       current_setting('listen_addresses') as addresses, current_setting('unix_socket_directories') as sockets`,
    )
    expect(row).toEqual({ database: 'sluice', encoding: 'UTF8', fsync: 'on', addresses: '127.0.0.1', sockets: '' })
    const stranger = { ...server, url: server.url.replace(/:[0-9a-f]+@/, ':wrong@') }
    await expect(query(stranger, 'select 1')).rejects.toThrow(/password authentication failed/)
    expect((await stat(join(dataDir, 'password'))).mode & 0o777).toBe(0o600)
  })

  it('keeps data and password from start to start, and stops with its owner', async () => {
    const first = await openEmbeddedPostgres({ dataDir, durable: false })
    await query(first, 'create table kept as select 42 as answer')
    await first[Symbol.asyncDispose]()
    expect(await first.exited).toBe('The embedded PostgreSQL has ended (exit code 0).')

    await using second = await openEmbeddedPostgres({ dataDir, durable: false })
    expect(await query(second, 'select answer from kept')).toEqual([{ answer: 42 }])
    expect(new URL(second.url).password).toBe(new URL(first.url).password)
  })

  it('has what was committed after the server was killed', async () => {
    const first = await openEmbeddedPostgres({ dataDir })
    await query(first, 'create table kept as select 42 as answer')
    process.kill(first.pid, 'SIGKILL')
    expect(await first.exited).toBe('The embedded PostgreSQL has ended (SIGKILL).')
    await first[Symbol.asyncDispose]()

    await using second = await openEmbeddedPostgres({ dataDir })
    expect(await query(second, 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  it('refuses a second Sluice on the same data, and says what to do', async () => {
    await using server = await openEmbeddedPostgres({ dataDir, durable: false })
    const second = openEmbeddedPostgres({ dataDir, durable: false })
    await expect(second).rejects.toThrow(StartError)
    await expect(second).rejects.toThrow(/Another Sluice is running on .* stop it, or .* SLUICE_DATA_DIR/)
    expect(await query(server, 'select 1 as still')).toEqual([{ still: 1 }])
  })

  it('does not outlive an owner that is killed', async () => {
    const module = join(import.meta.dirname, 'embedded-postgres.ts')
    const script = `const { openEmbeddedPostgres } = await import(process.argv[1])
      const server = await openEmbeddedPostgres({ dataDir: process.argv[2], durable: false })
      process.stdout.write(String(server.pid))`
    const owner = spawn(process.execPath, ['--input-type=module', '-e', script, module, dataDir], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const [text] = await once(owner.stdout, 'data')
    expect(isAlive(Number(text))).toBe(true)
    owner.kill('SIGKILL')
    await vi.waitFor(() => expect(isAlive(Number(text))).toBe(false), { timeout: 10_000 })
    await using next = await openEmbeddedPostgres({ dataDir, durable: false })
    expect(await query(next, 'select 1 as again')).toEqual([{ again: 1 }])
  })

  it('stops a server that was left on its data', async () => {
    await (await openEmbeddedPostgres({ dataDir, durable: false }))[Symbol.asyncDispose]()
    const place = await findPlace(dataDir)
    const port = String(await findFreePort())
    const leftover = spawn(join(place.binaries, 'postgres'), ['-D', place.directory, '-p', port, '-k', '', '-h', '127.0.0.1'], {
      stdio: 'ignore',
      ...(place.user === undefined ? {} : { uid: place.user, gid: place.user }),
      cwd: '/',
    })
    const ended = once(leftover, 'exit')
    await vi.waitFor(() => stat(join(place.directory, 'postmaster.pid')), { timeout: 10_000 })

    await using server = await openEmbeddedPostgres({ dataDir, durable: false })
    await ended
    expect(await query(server, 'select 1 as mine')).toEqual([{ mine: 1 }])
  })

  it('is not fooled by the number of a dead server that another process has got', async () => {
    await (await openEmbeddedPostgres({ dataDir, durable: false }))[Symbol.asyncDispose]()
    const { directory, user } = await findPlace(dataDir)
    // Of the server's own user: one of another it cannot signal, and takes for dead by itself.
    const other = spawn('/bin/sleep', ['60'], user === undefined ? {} : { uid: user, gid: user })
    onTestFinished(() => void other.kill())
    await once(other, 'spawn')
    await writeFile(join(directory, 'postmaster.pid'), `${other.pid}\n${directory}\n1\n5432\n\n127.0.0.1\n0 0\nready\n`)
    await using server = await openEmbeddedPostgres({ dataDir, durable: false })
    expect(await query(server, 'select 1 as started')).toEqual([{ started: 1 }])
  })

  it('begins again where a first start was killed half-way', async () => {
    await mkdir(join(dataDir, 'cluster.new'), { recursive: true })
    await writeFile(join(dataDir, 'cluster.new', 'PG_VERSION'), '18\n')
    await using server = await openEmbeddedPostgres({ dataDir, durable: false })
    expect(await query(server, 'select 1 as started')).toEqual([{ started: 1 }])
  })

  it('gives a new password to data whose password was lost', async () => {
    const first = await openEmbeddedPostgres({ dataDir, durable: false })
    await query(first, 'create table kept as select 42 as answer')
    await first[Symbol.asyncDispose]()
    await rm(join(dataDir, 'password'))
    await using second = await openEmbeddedPostgres({ dataDir, durable: false })
    expect(await query(second, 'select answer from kept')).toEqual([{ answer: 42 }])
  })

  it('says in one sentence that its port is taken', async () => {
    await using first = await openEmbeddedPostgres({ dataDir, durable: false })
    const port = Number(new URL(first.url).port)
    const second = openEmbeddedPostgres({ dataDir: join(home, 'other'), durable: false, port })
    await expect(second).rejects.toThrow(`Port ${port} is in use`)
  })

  it.skipIf(!isRoot)('as root, keeps its data where its user can reach them when the directory is closed to others', async () => {
    await chmod(home, 0o700)
    const first = await openEmbeddedPostgres({ dataDir, durable: false })
    const [row] = await query(first, `select current_setting('data_directory') as directory`)
    const directory = String(row?.['directory'])
    await query(first, 'create table kept as select 42 as answer')
    await first[Symbol.asyncDispose]()
    expect(directory.startsWith(home)).toBe(false)

    const second = await openEmbeddedPostgres({ dataDir, durable: false })
    expect(await query(second, 'select answer from kept')).toEqual([{ answer: 42 }])
    await second[Symbol.asyncDispose]()
    await rm(dirname(directory), { recursive: true })
  })
})
