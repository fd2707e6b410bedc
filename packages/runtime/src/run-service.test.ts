import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'

/** A service that opens and never closes, under these variables. */
function run(environment: Record<string, string>) {
  const script = `
    const { runService } = await import(${JSON.stringify(join(import.meta.dirname, 'run-service.ts'))})
    await runService(async () => {
      process.stdout.write('open')
      return { [Symbol.asyncDispose]: () => new Promise((resolve) => setTimeout(resolve, 60_000)) }
    })`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], { env: environment })
  onTestFinished(() => void child.kill('SIGKILL'))
  let complained = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complained += text))
  const ended = once(child, 'close').then(([code]) => ({ code: Number(code), complained: complained.trim() }))
  return { child, ended }
}

it('tells in one sentence what is wrong with its configuration, and opens nothing', async () => {
  const { ended } = run({ SLUICE_HTTP_PORT: 'many' })
  expect(await ended).toEqual({
    code: 1,
    complained: 'SLUICE_HTTP_PORT is "many": a whole number from 0 to 65535 is allowed.',
  })
})

it('takes its grace from the configuration', async () => {
  const { child, ended } = run({ SLUICE_LIMIT_SHUTDOWN_MS_MAX: '1' })
  await once(child.stdout, 'data')
  child.kill('SIGTERM')
  expect(await ended).toEqual({ code: 1, complained: 'Not everything has stopped within 5.001 s: leaving it.' })
})
