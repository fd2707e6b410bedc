import { connect } from 'node:net'
import { once } from 'node:events'
import postgres from 'postgres'
import { describe, expect, inject, it } from 'vitest'

describe('the servers of the tests', () => {
  it('give a superuser of a real PostgreSQL 18', async () => {
    const sql = postgres(inject('postgresUrl'), { max: 1 })
    const [row] =
      await sql`select current_setting('server_version_num')::int as version, usesuper from pg_user where usename = current_user`
    await sql.end()
    expect(row).toMatchObject({ usesuper: true })
    expect(row?.['version']).toBeGreaterThanOrEqual(180_000)
  })

  it.skipIf(inject('redisUrl') === null)('give a Redis that refuses to evict', async () => {
    const { hostname, port } = new URL(inject('redisUrl') ?? '')
    const socket = connect(Number(port), hostname)
    socket.write('CONFIG GET maxmemory-policy\r\n')
    const [answer] = await once(socket, 'data')
    socket.destroy()
    expect(String(answer)).toContain('noeviction')
  })

  it('give an S3 that answers', async () => {
    const { endPoint, port } = inject('s3')
    const response = await fetch(`http://${endPoint}:${port}/`)
    await response.body?.cancel()
    expect(response.status).toBeLessThan(500)
  })
})
