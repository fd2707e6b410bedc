import { expect, test } from 'vitest'
import { environment, run, up } from './sluice-process.ts'

test('sluice doctor looks beside a running sluice up, and when it was stopped', { timeout: 600_000 }, async () => {
  const variables = await environment()
  const { process: sluice } = await up(variables)
  const beside = run(['doctor'], variables)
  expect([await beside.exit(), beside.output()]).toEqual([0, expect.stringContaining('All is well.')])
  expect(beside.output()).toMatch(/Looked at [1-9]\d* objects, [1-9]\d* stored files/)
  sluice.child.kill('SIGTERM')
  expect(await sluice.exit()).toBe(0)
  const alone = run(['doctor', '--repair', '--json'], variables)
  expect([await alone.exit(), alone.output()]).toEqual([0, expect.stringContaining('"repaired": true')])
})

test('sluice doctor says when it could not look, or does not know what is wanted, by its exit code', async () => {
  const variables = { ...(await environment()), SLUICE_DATABASE_URL: 'postgres://127.0.0.1:1/nothing' }
  const blind = run(['doctor'], variables)
  expect([await blind.exit(), blind.output()]).toEqual([2, expect.stringContaining('Not everything could be looked at: ')])
  const confused = run(['doctor', '--limit', 'many'], variables)
  expect([await confused.exit(), confused.output()]).toEqual([2, expect.stringContaining('a whole number')])
})
