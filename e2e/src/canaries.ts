/** Sluice with secrets that can be recognised wherever they turn up, and everything that it says to anybody. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import postgres from 'postgres'
import { inject } from 'vitest'
import { createTestDatabase } from '@sluice/database/testing'
import { createObserver, openAllInOne, readConfig } from '@sluice/runtime'
import { type ServedRoute, watchServers } from './served-routes.ts'
import { type Wiring, wires } from './stack.ts'

export interface CanaryStack extends AsyncDisposable {
  readonly url: string
  readonly consoleUrl: string
  readonly routes: readonly (ServedRoute & { readonly origin: string })[]
  /** Secrets of the installation, by what they open. */
  readonly secrets: Readonly<Record<string, string>>
  readonly log: () => string
  /** All rows of all tables, and all that the queue's server holds, as text. */
  readonly rows: () => Promise<string>
  /** Lets nobody into the database until it is disposed. */
  readonly databaseDown: () => Promise<AsyncDisposable>
}

/** No two are alike, and none looks like anything else. */
export function canary(name: string): string {
  return `canary${name}${randomBytes(12).toString('hex')}`
}

export async function openCanaries(wiring: Wiring, environment: Record<string, string>): Promise<CanaryStack> {
  await using stack = new AsyncDisposableStack()
  const secrets = {
    token: canary('token'),
    secretKey: canary('secretkey'),
    databasePassword: canary('database'),
    redisPassword: canary('redis'),
    s3SecretKey: inject('s3').kind === 'minio' ? inject('s3').secretKey : canary('s3'),
  }
  const dataDir = await mkdtemp(join(tmpdir(), 'sluice-canary-'))
  stack.defer(() => rm(dataDir, { recursive: true, force: true }))
  const database = await openCanaryDatabase(stack, secrets.databasePassword)
  const wired = await withRedisUser(stack, wires(wiring, dataDir), secrets.redisPassword)
  const lines: string[] = []
  const config = readConfig({
    SLUICE_DATA_DIR: dataDir,
    SLUICE_DATABASE_URL: database.url,
    SLUICE_HTTP_PORT: '0',
    SLUICE_CONSOLE_PORT: '0',
    SLUICE_OPS_PORT: '0',
    SLUICE_BOOTSTRAP_TOKEN: secrets.token,
    SLUICE_SECRET_KEY: secrets.secretKey,
    ...wired,
    ...('SLUICE_S3_ENDPOINT' in wired && { SLUICE_S3_SECRET_KEY: secrets.s3SecretKey }),
    ...environment,
  })
  const observability = createObserver({ level: 'trace', destination: { write: (line) => void lines.push(line) } })
  using watch = watchServers()
  const sluice = stack.use(await openAllInOne(config, observability))
  const routes = watch.servers.flatMap((server) => server.routes.map((route) => ({ ...route, origin: server.origin() })))

  const opened = stack.move()
  return {
    url: sluice.url,
    consoleUrl: sluice.consoleUrl,
    routes,
    secrets,
    rows: async () => `${await database.rows()}\n${await keysOf(wired['SLUICE_REDIS_URL'])}`,
    databaseDown: () => database.down(),
    log: () => lines.join(''),
    [Symbol.asyncDispose]: () => opened.disposeAsync(),
  }
}

/** A database whose owner logs in with the password. */
async function openCanaryDatabase(stack: AsyncDisposableStack, password: string) {
  const adminUrl = inject('postgresUrl')
  const admin = postgres(adminUrl, { max: 1, onnotice: () => undefined })
  stack.defer(() => admin.end())
  const role = `canary_${randomBytes(8).toString('hex')}`
  await admin.unsafe(`create role ${role} login superuser password '${password}'`)
  stack.defer(async () => void (await admin.unsafe(`drop role ${role}`)))
  const { url: plain } = stack.use(await createTestDatabase(adminUrl))
  const url = Object.assign(new URL(plain), { username: role, password })
  const name = url.pathname.slice(1)
  return {
    url: url.href,
    async rows() {
      const sql = postgres(plain, { max: 1 })
      try {
        const tables = await sql`
          select format('%I.%I', schemaname, tablename) as name from pg_tables
          where schemaname not in ('pg_catalog', 'information_schema')`
        const texts: string[] = []
        for (const table of tables)
          for (const row of await sql.unsafe(`select t::text as row from ${table['name']} t`))
            texts.push(`${table['name']}: ${row['row']}`)
        return texts.join('\n')
      } finally {
        await sql.end()
      }
    },
    async down() {
      await admin.unsafe(`alter database ${name} allow_connections false`)
      await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name}`
      return { [Symbol.asyncDispose]: async () => void (await admin.unsafe(`alter database ${name} allow_connections true`)) }
    },
  }
}

/** Whatever a key holds, one after the other. */
const ALL_KEYS = `
  local texts = {}
  local function add(value)
    if type(value) == 'table' then for _, each in ipairs(value) do add(each) end else texts[#texts + 1] = tostring(value) end
  end
  local read = {
    string = {'GET'}, hash = {'HGETALL'}, set = {'SMEMBERS'},
    list = {'LRANGE', 0, -1}, zset = {'ZRANGE', 0, -1}, stream = {'XRANGE', '-', '+'},
  }
  for _, key in ipairs(redis.call('KEYS', '*')) do
    local command = read[redis.call('TYPE', key).ok]
    add(key)
    add(redis.call(command[1], key, unpack(command, 2)))
  end
  return table.concat(texts, '\\n')`

async function keysOf(href: string | undefined): Promise<string> {
  if (href === undefined) return ''
  const { hostname, port, pathname } = new URL(href)
  const socket = connect(Number(port), hostname).setEncoding('utf8')
  const command = (...words: string[]) =>
    words.reduce((text, word) => `${text}$${Buffer.byteLength(word)}\r\n${word}\r\n`, `*${words.length}\r\n`)
  socket.write(command('SELECT', pathname.slice(1)) + command('EVAL', ALL_KEYS, '0') + command('QUIT'))
  let text = ''
  for await (const part of socket) text += String(part)
  if (!text.startsWith('+OK\r\n$')) throw new Error(`Redis says ${text.slice(0, 200)}`)
  return text
}

/** The queue's server asks for no password; a user of it does. */
async function withRedisUser(
  stack: AsyncDisposableStack,
  wired: Record<string, string>,
  password: string,
): Promise<Record<string, string>> {
  const { SLUICE_REDIS_URL: href } = wired
  if (href === undefined) return wired
  const url = new URL(href)
  const user = `canary${randomBytes(6).toString('hex')}`
  const command = async (text: string) => {
    const socket = connect(Number(url.port), url.hostname)
    socket.write(`${text}\r\n`)
    const [answer] = await once(socket, 'data')
    socket.destroy()
    if (!/^[+:]/.test(String(answer))) throw new Error(`Redis says ${String(answer)}`)
  }
  await command(`ACL SETUSER ${user} on >${password} ~* &* +@all`)
  stack.defer(() => command(`ACL DELUSER ${user}`))
  return { ...wired, SLUICE_REDIS_URL: Object.assign(url, { username: user, password }).href }
}
