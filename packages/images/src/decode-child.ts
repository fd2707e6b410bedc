/** What a decoder process runs: one image at a time, under a watch of its own memory, until its parent is gone. */
import { readFile } from 'node:fs/promises'
import { type Inspection, SluiceError } from '@sluice/core'
import type { Message, Task } from './decoder-process.ts'
import { inspectImage } from './inspect-image.ts'

/** libvips works off this thread, so the watch runs while an image is decoded. */
const MEMORY_LOOK_MS = 20

// Ctrl-C and a supervisor may signal all processes of a service at once: what has begun may be finished, and the parent ends us.
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined)
process.on('message', (task: Task) => void answer(task))
process.on('disconnect', endAtOnce)
say({ kind: 'ready' })

async function answer({ path, limits }: Task): Promise<void> {
  const watch = setInterval(checkMemory, MEMORY_LOOK_MS, limits.decodeMemoryBytesMax)
  try {
    const result = await inspectImage(await readFile(path), limits)
    say({ kind: 'result', result, residentBytes: process.memoryUsage.rss() })
  } catch (error) {
    say(complaint(error))
  } finally {
    clearInterval(watch)
  }
}

function complaint(error: unknown): Message<Inspection> {
  const residentBytes = process.memoryUsage.rss()
  if (SluiceError.is(error)) {
    return { kind: 'refused', code: error.code, message: error.message, details: error.details, residentBytes }
  }
  const { message, stack } = error instanceof Error ? error : new Error(String(error))
  return { kind: 'failed', message, stack: stack ?? message, residentBytes }
}

function checkMemory(bytesMax: number): void {
  const residentBytes = process.memoryUsage.rss()
  if (residentBytes > bytesMax) say({ kind: 'memory_exceeded', residentBytes }, endAtOnce)
}

function say(message: Message<Inspection>, then: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, then)
}

/** `process.exit` would wait for the threads of libuv, and so for the very decode that has to end. */
function endAtOnce(): void {
  process.kill(process.pid, 'SIGKILL')
}
