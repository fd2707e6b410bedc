import { expect, test } from 'vitest'
import { Pool } from 'pg'
import { patientClient } from './patient-client.ts'

test('tells of a server that is away only after its wait', async () => {
  const pool = new Pool({ host: '127.0.0.1', port: 1, Client: patientClient(300) })
  const asked = Date.now()
  await expect(pool.query('SELECT 1')).rejects.toThrow('ECONNREFUSED')
  // Timers may fire one millisecond early by this clock.
  expect(Date.now() - asked).toBeGreaterThanOrEqual(299)
  await pool.end()
})
