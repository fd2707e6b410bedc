import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

/** A Redis that a test may kill, with the settings that production needs. */
export interface RedisServer extends AsyncDisposable {
  readonly url: string
  /** SIGKILL: what is in the append-only file is what stays. */
  kill(): Promise<void>
  /** Again, on the same port and files. */
  start(): Promise<void>
}

export async function openRedisServer(): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), 'sluice-redis-'))
  const port = await findFreePort()
  const options = `--port ${port} --bind 127.0.0.1 --dir ${directory} --appendonly yes --maxmemory-policy noeviction`.split(' ')
  let child = await startRedis(options)

  async function kill(): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  }

  return {
    url: `redis://127.0.0.1:${port}`,
    kill,
    async start() {
      child = await startRedis(options)
    },
    async [Symbol.asyncDispose]() {
      await kill()
      await rm(directory, { recursive: true, force: true })
    },
  }
}

async function startRedis(options: readonly string[]) {
  const child = spawn('redis-server', [...options, '--save', ''], { stdio: ['ignore', 'pipe', 'ignore'] })
  for await (const line of createInterface(child.stdout)) {
    if (line.includes('Ready to accept connections')) break
  }
  child.stdout.resume()
  return child
}

async function findFreePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
