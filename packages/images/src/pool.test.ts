import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_LIMITS, SluiceError } from '@sluice/core'
import { afterEach, expect, test, vi } from 'vitest'
import { openPool, type Pool } from './pool.ts'

const entry = new URL('testing/failing-child.ts', import.meta.url)
const never = new AbortController().signal
const pools: Pool<number>[] = []
/** For what happens in other processes of a machine that may be busy. */
const PATIENCE = { timeout: 10_000, interval: 20 }

function pool({ processes = 1, decodeMsMax = 20_000 }: { processes?: number; decodeMsMax?: number } = {}): Pool<number> {
  const opened = openPool<number>({ entry, processes, limits: { ...DEFAULT_LIMITS, decodeMsMax } })
  pools.push(opened)
  return opened
}

afterEach(async () => {
  for (const opened of pools.splice(0)) await opened[Symbol.asyncDispose]()
})

/** Signal 0 only asks whether the process is there. */
function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('keeps one process for images that follow each other', async () => {
  const one = pool()
  expect(await one.run('a', never)).toBe(await one.run('b', never))
})

test('uses as many processes as it may, and no more', async () => {
  const two = pool({ processes: 2 })
  const pids = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((path) => two.run(path, never)))
  expect(new Set(pids).size).toBe(2)
})

test('kills a process that hangs at the deadline, blames the image, and decodes the next one', async () => {
  const one = pool({ decodeMsMax: 100 })
  const error: unknown = await one.run('hang', never).catch((caught: unknown) => caught)
  expect(SluiceError.is(error, 'image_too_costly') && error.details).toEqual({ decodeMsMax: 100 })
  expect(await one.run('next', never)).toBeTypeOf('number')
})

test('blames the image when its process reports too much memory', async () => {
  const one = pool()
  await expect(one.run('grow', never)).rejects.toMatchObject({ code: 'image_too_costly' })
  expect(await one.run('next', never)).toBeTypeOf('number')
})

test.each(['exit', 'die'])(
  'does not blame the image when its process ends by itself (%s), and decodes the next one',
  async (how) => {
    const one = pool()
    const error: unknown = await one.run(how, never).catch((caught: unknown) => caught)
    expect(error).toMatchObject({ code: 'decoder_died', status: 500, details: { how: how === 'exit' ? 'code 3' : 'SIGKILL' } })
    expect(error instanceof Error && error.cause).toBe(how === 'exit' ? 'the last words' : undefined)
    expect(await one.run('next', never)).toBeTypeOf('number')
  },
)

test('survives a process that was killed while it was idle', async () => {
  const one = pool()
  const pid = await one.run('a', never)
  process.kill(pid, 'SIGKILL')
  await vi.waitUntil(() => !isRunning(pid), PATIENCE)
  expect(await one.run('b', never)).not.toBe(pid)
})

test('replaces a process that has kept too much memory', async () => {
  const one = pool()
  const pid = await one.run('swell', never)
  expect(await one.run('b', never)).not.toBe(pid)
  await vi.waitUntil(() => !isRunning(pid), PATIENCE)
})

test('an abort ends the decode that runs, with the reason of the signal', async () => {
  const one = pool()
  const pid = await one.run('a', never)
  const abort = new AbortController()
  const begun = join(mkdtempSync(join(tmpdir(), 'sluice-images-')), 'begun')
  writeFileSync(begun, '')
  const running = one.run(begun, abort.signal)
  await vi.waitUntil(() => !existsSync(begun), PATIENCE)
  abort.abort(new Error('enough'))
  await expect(running).rejects.toThrow('enough')
  await vi.waitUntil(() => !isRunning(pid), PATIENCE)
  expect(await one.run('next', never)).not.toBe(pid)
})

test('an abort takes an image out of the line without blaming it, and the line moves on', async () => {
  const one = pool()
  const abort = new AbortController()
  const first = new AbortController()
  const running = one.run('wait', first.signal)
  const waiting = one.run('b', abort.signal)
  const last = one.run('c', never)
  abort.abort(new Error('enough'))
  await expect(waiting).rejects.toMatchObject({ code: 'service_unavailable', cause: new Error('enough') })
  first.abort(new Error('over'))
  await expect(running).rejects.toThrow('over')
  expect(await last).toBeTypeOf('number')
})

test('an image whose signal is already aborted starts nothing', async () => {
  await expect(pool().run('a', AbortSignal.abort(new Error('before')))).rejects.toThrow('before')
})

test('closing ends processes, running work and the line, and twice is fine', async () => {
  const one = pool()
  const pid = await one.run('a', never)
  const running = one.run('wait', never)
  const waiting = one.run('b', never)
  const ended = Promise.allSettled([running, waiting])
  await one[Symbol.asyncDispose]()
  await one[Symbol.asyncDispose]()
  expect((await ended).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(isRunning(pid)).toBe(false)
  await expect(one.run('c', never)).rejects.toThrow('closed')
})

test('a process ends by itself when its parent was killed', async () => {
  const script = `
    const { openPool } = await import(${JSON.stringify(new URL('pool.ts', import.meta.url).href)})
    const pool = openPool({ entry: new URL(${JSON.stringify(entry.href)}), processes: 1, limits: { decodeMsMax: 20000 } })
    console.log(await pool.run('a', new AbortController().signal))
    await pool.run('wait', new AbortController().signal)`
  const parent = spawn(process.execPath, ['--input-type=module', '--eval', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = await once(parent.stdout.setEncoding('utf8'), 'data')
  const pid = Number(line)
  expect(isRunning(pid)).toBe(true)
  parent.kill('SIGKILL')
  await vi.waitUntil(() => !isRunning(pid), PATIENCE)
})

test('a module that cannot run is an error of ours, not of the image', async () => {
  const broken = openPool<number>({ entry: new URL('missing.ts', import.meta.url), processes: 1, limits: DEFAULT_LIMITS })
  pools.push(broken)
  const error: unknown = await broken.run('a', never).catch((caught: unknown) => caught)
  expect(error).toMatchObject({
    status: 500,
    message: expect.stringContaining('ended with code 1'),
    cause: expect.stringContaining('missing.ts'),
  })
})
