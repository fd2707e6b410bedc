import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { listenFailed } from './lifecycle-listen.ts'
import { StartError } from './lifecycle-start-error.ts'

const PRELUDE = `
  const { runUntilSignal } = await import(${JSON.stringify(join(import.meta.dirname, 'lifecycle.ts'))})
  const { StartError } = await import(${JSON.stringify(join(import.meta.dirname, 'lifecycle-start-error.ts'))})
  const say = (word) => process.stdout.write(word + '\\n')
`

/** A process that runs the script; `until` resolves when it has said a word. */
function run(script: string) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PRELUDE + script], { stdio: ['ignore', 'pipe', 'pipe'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let said = ''
  let complained = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (said += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (complained += text))
  const ended = once(child, 'close').then(([code]) => ({
    code: Number(code),
    said: said.trim().split('\n'),
    complained: complained.trim(),
  }))
  return {
    ended,
    kill: (signal: NodeJS.Signals) => child.kill(signal),
    until: async (word: string) => {
      while (!said.includes(word)) await once(child.stdout, 'data')
    },
  }
}

const STACK = `
  await runUntilSignal(async () => {
    const stack = new AsyncDisposableStack()
    stack.defer(() => say('first'))
    stack.defer(async () => say('second'))
    say('open')
    return stack
  }, { graceMs: 5000 })
  say('returned')
`

describe('runUntilSignal', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('disposes in reverse on %s, and ends by itself', async (signal) => {
    const child = run(STACK)
    await child.until('open')
    child.kill(signal)
    expect(await child.ended).toEqual({ code: 0, said: ['open', 'second', 'first', 'returned'], complained: '' })
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('leaves at once on a second signal (%s)', async (signal, code) => {
    const child = run(`await runUntilSignal(async () => {
      say('open')
      return { async [Symbol.asyncDispose]() { say('closing'); await new Promise((resolve) => setTimeout(resolve, 60_000)) } }
    }, { graceMs: 60_000 })`)
    await child.until('open')
    child.kill('SIGTERM')
    await child.until('closing')
    child.kill(signal)
    expect((await child.ended).code).toBe(code)
  })

  it('leaves what does not stop within the grace period, and says so', async () => {
    const child = run(`await runUntilSignal(async () => {
      say('open')
      return { async [Symbol.asyncDispose]() { await new Promise((resolve) => setTimeout(resolve, 60_000)) } }
    }, { graceMs: 200 })`)
    await child.until('open')
    child.kill('SIGTERM')
    expect(await child.ended).toMatchObject({ code: 1, complained: 'Not everything has stopped within 0.2 s: leaving it.' })
  })

  it('leaves what still holds the process after everything was disposed of', async () => {
    const child = run(`setInterval(() => {}, 1000);
      await runUntilSignal(async () => { say('open'); return { async [Symbol.asyncDispose]() {} } }, { graceMs: 200 })`)
    await child.until('open')
    child.kill('SIGTERM')
    expect((await child.ended).code).toBe(1)
  })

  it('tells why it cannot start in one sentence', async () => {
    const child = run(
      `await runUntilSignal(async () => { throw new StartError('The disk is full: make room.') }, { graceMs: 1000 })`,
    )
    expect(await child.ended).toMatchObject({ code: 1, complained: 'The disk is full: make room.' })
  })

  it('shows the stack of an error that is our fault', async () => {
    const child = run(`await runUntilSignal(async () => { null.oops }, { graceMs: 1000 })`)
    expect((await child.ended).complained).toMatch(/TypeError: .*\n\s+at /)
  })

  it('interrupts what is still opening', async () => {
    const child = run(`import { setTimeout as pause } from 'node:timers/promises'
      await runUntilSignal(async (signal) => { say('opening'); await pause(60_000, undefined, { signal }) }, { graceMs: 5000 })`)
    await child.until('opening')
    child.kill('SIGTERM')
    expect(await child.ended).toMatchObject({ code: 0, complained: '' })
  })

  it('closes and ends with 1 when what runs cannot go on', async () => {
    const child = run(`await runUntilSignal(async () => ({
      failed: Promise.resolve('The database has ended.'),
      async [Symbol.asyncDispose]() { say('closed') },
    }), { graceMs: 5000 })`)
    expect(await child.ended).toEqual({ code: 1, said: ['closed'], complained: 'The database has ended.' })
  })

  it('holds a process that has nothing else to hold it', async () => {
    // The timer is unreferenced: it fires only in a process that something holds.
    const child = run(`setTimeout(() => say('held'), 50).unref(); ${STACK}`)
    await child.until('held')
    child.kill('SIGTERM')
    expect((await child.ended).code).toBe(0)
  })
})

describe('listenFailed', () => {
  it('names the port that is in use and the variable that moves it', async () => {
    const [first, second] = [createServer(), createServer()]
    onTestFinished(() => void first.close())
    await once(first.listen(0, '127.0.0.1'), 'listening')
    const address = first.address()
    const port = typeof address === 'object' && address ? address.port : 0
    const error = await new Promise((resolve) => second.once('error', resolve).listen(port, '127.0.0.1'))
    const translated = listenFailed(error, { host: '127.0.0.1', port }, 'SLUICE_HTTP_PORT')
    expect(translated).toEqual(new StartError(`Port ${port} is in use: stop what uses it or set SLUICE_HTTP_PORT.`))
  })

  it('names the host variable for an address that is not ours', async () => {
    const error = await new Promise((resolve) => createServer().once('error', resolve).listen(0, '192.0.2.1'))
    const translated = listenFailed(error, { host: '192.0.2.1', port: 0 }, 'SLUICE_HTTP_PORT')
    expect(translated).toEqual(new StartError('This machine has no address 192.0.2.1: set SLUICE_HTTP_HOST to one that it has.'))
  })
})
