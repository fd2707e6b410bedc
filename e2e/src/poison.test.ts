/** A file that kills whoever touches it: it is given up after so many attempts, and nothing beside it comes to harm. */
import { readdirSync, readFileSync } from 'node:fs'
import { drawSample } from '@sluice/images/samples'
import { expect, test } from 'vitest'
import { answerOf, formOf } from './api.ts'
import { environment, up } from './sluice-process.ts'
import { openStack } from './stack.ts'

const SOON = { timeout: 300_000, interval: 200 }
const ATTEMPTS = '2'

test.runIf(process.platform === 'linux')(
  'an image whose decoder dies each time is given up, says so, and lands when it is replayed',
  async () => {
    await using stack = await openStack('embedded', {
      SLUICE_LIMIT_ATTEMPTS_MAX: ATTEMPTS,
      SLUICE_LIMIT_RETRY_MS_MIN: '10',
      SLUICE_LIMIT_RETRY_MS_MAX: '10',
    })
    const image = await drawSample({ seed: 1, width: 60, height: 40, format: 'png' })
    let killed = 0
    const killing = setInterval(() => {
      for (const pid of decodersOf(process.pid)) killed += kill(pid)
    }, 2)
    const { headers } = await answerOf(await stack.api.send('POST', '/v1/files', { body: formOf(image) }))
    const ingest = headers.get('location') ?? ''
    const poisoned = await stack.api.finished(ingest).finally(() => clearInterval(killing))
    expect(killed).toBeGreaterThanOrEqual(Number(ATTEMPTS))
    expect(poisoned).toMatchObject({
      state: 'failed',
      attempts: Number(ATTEMPTS),
      error: { code: 'attempts_exhausted', step: 'validate', cause: 'decoder_died', detail: expect.stringContaining('SIGKILL') },
    })
    const neighbour = await drawSample({ seed: 2, width: 60, height: 40, format: 'png' })
    expect((await stack.api.addImage(await stack.api.newProduct(), neighbour)).status).toBe(201)
    expect((await stack.api.call('POST', `${ingest}/replay`)).status).toBe(202)
    expect(await stack.api.finished(ingest)).toMatchObject({ state: 'committed' })
  },
)

function decodersOf(parent: number): readonly number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const stat = read(`/proc/${pid}/stat`)
      return (
        Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent &&
        read(`/proc/${pid}/cmdline`).includes('decode-child')
      )
    })
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // The process has ended meanwhile.
    return ''
  }
}

function kill(pid: number): number {
  try {
    process.kill(pid, 'SIGKILL')
    return 1
  } catch {
    return 0
  }
}

test('an image that kills its worker each time is given up when the attempts are used up, and those behind it go on', async () => {
  const variables = {
    ...(await environment()),
    SLUICE_BOOTSTRAP_TOKEN: 'poison-token-of-some-length',
    SLUICE_LIMIT_ATTEMPTS_MAX: ATTEMPTS,
    SLUICE_LIMIT_INGEST_MS_MAX: '4000',
    SLUICE_LIMIT_RECONCILE_AFTER_MS: '5000',
    SLUICE_LIMIT_JOB_LOCK_MS: '3000',
    SLUICE_LIMIT_UPKEEP_EVERY_MS: '500',
  }
  const armed = { ...variables, SLUICE_FAILPOINTS: 'w-read=kill' }
  let { process: sluice, api } = await up(armed, '--no-demo')
  const poison = await drawSample({ seed: 1, width: 60, height: 40, format: 'png' })
  const { headers } = await answerOf(await api.send('POST', '/v1/files', { body: formOf(poison) }))
  const ingest = headers.get('location') ?? ''
  let deaths = 0
  for (; deaths < Number(ATTEMPTS); deaths += 1) {
    expect(await sluice.exit()).toBe('SIGKILL')
    ;({ process: sluice, api } = await up(armed, '--no-demo'))
  }
  // The worker that lives now would die of it, too, if it touched it.
  const given = async () => (await api.call('GET', ingest)).body
  await expect.poll(async () => (await given())['state'], SOON).toBe('failed')
  expect(await given()).toMatchObject({
    error: { code: 'attempts_exhausted', detail: expect.stringContaining('The worker died each time.') },
  })
  expect(sluice.child.exitCode).toBeNull()
  sluice.child.kill('SIGKILL')
  await sluice.exit()
  ;({ api } = await up(variables, '--no-demo'))
  const neighbour = await drawSample({ seed: 2, width: 60, height: 40, format: 'png' })
  expect((await api.addImage(await api.newProduct(), neighbour)).status).toBe(201)
  expect(await given()).toMatchObject({ state: 'failed' })
}, 600_000)
