/** What may happen to a decoder, and what then happens to images beside it, to the machine and to the next one. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DEFAULT_LIMITS, type Limits } from '@sluice/core'
import sharp from 'sharp'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { dataBytesMax, spawnConfined } from './confined-child.ts'
import { openDecoder } from './decoder.ts'
import { drawSample } from './draw-sample.ts'
import { openPool } from './pool.ts'
import { children, peakOf } from './testing/children.ts'

const failingChild = new URL('testing/failing-child.ts', import.meta.url)
const never = new AbortController().signal
const PATIENCE = { timeout: 20_000, interval: 20 }
/** Each costs the start of a process: more of them by hand, as many as one likes. */
const KILLS = Number(process.env['SLUICE_TEST_KILLS'] ?? 24)

const folder = mkdtempSync(join(tmpdir(), 'sluice-confined-'))
afterAll(() => rmSync(folder, { recursive: true }))
let stack = new AsyncDisposableStack()
afterEach(async () => {
  const used = stack
  stack = new AsyncDisposableStack()
  await used.disposeAsync()
})

let files = 0
function fileOf(bytes: Uint8Array): string {
  const path = join(folder, String((files += 1)))
  writeFileSync(path, bytes)
  return path
}

/** A file that is never there to its end: whoever reads it waits. */
function pipeWithoutEnd(): string {
  const path = join(folder, String((files += 1)))
  execFileSync('mkfifo', [path])
  return path
}

async function decoderOf(processes: number, limits: Partial<Limits> = {}) {
  return stack.use(await openDecoder({ processes, limits: { ...DEFAULT_LIMITS, ...limits } }))
}

/** The process that was not there before this was begun. */
async function childOf(before: readonly number[]): Promise<number> {
  const added = () => children().find(({ pid }) => !before.includes(pid))?.pid
  return vi.waitUntil(added, PATIENCE)
}

const pids = () => children().map(({ pid }) => pid)

describe.runIf(process.platform === 'linux')('a decoder process', { timeout: 90_000 }, () => {
  test('is confined: its memory by the kernel, no core file, and the first to die when the machine has no more', async () => {
    const before = pids()
    const decoder = await decoderOf(1)
    await decoder.inspect(fileOf(await drawSample({ seed: 1, width: 40, height: 30, format: 'png' })), never)
    const pid = await childOf(before)
    const limits = readFileSync(`/proc/${pid}/limits`, 'utf8')
    const dataMax = Math.ceil(dataBytesMax(DEFAULT_LIMITS.decodeMemoryBytesMax) / 1024) * 1024
    expect(limits).toMatch(new RegExp(`Max data size +${dataMax} +${dataMax} `))
    expect(limits).toMatch(/Max core file size +0 +0 /)
    expect(readFileSync(`/proc/${pid}/oom_score_adj`, 'utf8').trim()).toBe('1000')
    expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toMatch(/PATH=|HOME=|SLUICE/)
  })

  test('gets no memory beyond its bound, and says so of the image; the bound counts what it reserves for itself', async () => {
    const child = spawnConfined(new URL('testing/greedy-child.ts', import.meta.url), 64 * 1024 * 1024)
    stack.defer(() => void child.kill('SIGKILL'))
    const said = await new Promise<{ residentBytes: number; error: string }>((resolve) => child.once('message', resolve))
    expect(said.error).toMatch(/allocation failed/i)
    expect(said.residentBytes).toBeLessThan(dataBytesMax(64 * 1024 * 1024))
  })

  test('that is stopped is killed at its deadline, and the next image is decoded', async () => {
    const before = pids()
    const decoder = await decoderOf(1, { decodeMsMax: 5_000 })
    const image = fileOf(await drawSample({ seed: 2, width: 40, height: 30, format: 'png' }))
    await decoder.inspect(image, never)
    const pid = await childOf(before)
    process.kill(pid, 'SIGSTOP')
    const hanging = decoder.inspect(image, never)
    await expect(hanging).rejects.toMatchObject({ code: 'image_too_costly' })
    await vi.waitUntil(() => !pids().includes(pid), PATIENCE)
    expect(await decoder.inspect(image, never)).toMatchObject({ width: 40 })
  })

  test('that is killed leaves images that are decoded at the same time alone, and is counted against its own', async () => {
    const before = pids()
    const decoder = await decoderOf(3)
    const hanging = decoder.inspect(pipeWithoutEnd(), never)
    hanging.catch(() => undefined)
    const pid = await childOf(before)
    const neighbours = Array.from({ length: 12 }, async (_, seed) =>
      decoder.inspect(fileOf(await drawSample({ seed, width: 40 + seed, height: 30, format: 'avif' })), never),
    )
    await neighbours[0]
    process.kill(pid, 'SIGKILL')
    await expect(hanging).rejects.toMatchObject({ code: 'decoder_died', details: { how: 'SIGKILL' } })
    expect((await Promise.all(neighbours)).map(({ width }) => width)).toEqual(neighbours.map((_, seed) => 40 + seed))
  })

  test('that needs too much memory is refused, and memory stays bounded, for each form in which an image can be greedy', async () => {
    const before = pids()
    const decodeMemoryBytesMax = 150 * 1024 * 1024
    const decoder = await decoderOf(1, { decodeMemoryBytesMax })
    const flat = (size: number) => sharp({ create: { width: size, height: size, channels: 3, background: '#123456' } })
    const greedy = [
      await flat(6_000).png({ progressive: true, compressionLevel: 1 }).toBuffer(),
      await flat(6_000).jpeg({ progressive: true }).toBuffer(),
      await flat(3_000).avif({ effort: 0 }).toBuffer(),
    ]
    for (const bytes of greedy) {
      const inspected = decoder.inspect(fileOf(bytes), never)
      inspected.catch(() => undefined)
      const pid = await childOf(before)
      let peakBytes = 0
      const look = setInterval(() => (peakBytes = Math.max(peakBytes, peakOf(pid))), 5)
      await expect(inspected).rejects.toMatchObject({ code: 'image_too_costly' })
      clearInterval(look)
      // Between two looks of its own it can take what the kernel lets it have, and no more.
      expect(peakBytes).toBeLessThan(dataBytesMax(decodeMemoryBytesMax))
      await vi.waitUntil(() => !pids().includes(pid), PATIENCE)
    }
  })

  test(
    `that dies ${KILLS} times leaves nothing behind: no process, no open file, no temporary file`,
    async () => {
      const pool = openPool<number>({ entry: failingChild, processes: 4, limits: DEFAULT_LIMITS })
      stack.use(pool)
      await pool.run('a', never)
      const [openBefore, temporaryBefore] = [openFiles(), temporaryFiles()]
      const processesBefore = children().length
      for (let n = 0; n < KILLS; n += 4) {
        const outcomes = await Promise.allSettled(['die', 'b', 'die', 'c', 'die', 'die'].map((path) => pool.run(path, never)))
        expect(outcomes.map(({ status }) => status)).toEqual([
          'rejected',
          'fulfilled',
          'rejected',
          'fulfilled',
          'rejected',
          'rejected',
        ])
      }
      // Up to four are idle now where one was.
      await vi.waitUntil(() => children().filter(({ state }) => state === 'Z').length === 0, PATIENCE)
      await vi.waitUntil(() => children().length <= processesBefore + 3, PATIENCE)
      await vi.waitUntil(() => openFiles() <= openBefore + 3 * FILES_PER_CHILD, PATIENCE)
      expect(temporaryFiles()).toEqual(temporaryBefore)
    },
    90_000 + KILLS * 1_000,
  )
})

/** Its channel and its standard error. */
const FILES_PER_CHILD = 4
const openFiles = () => readdirSync('/proc/self/fd').length
const temporaryFiles = () => readdirSync(tmpdir()).filter((name) => /^(vips|sharp|core)/.test(name))
