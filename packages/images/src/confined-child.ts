import { type ChildProcess, spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'

/** The JavaScript of a decoder holds one file and a reduction; pixels lie outside this heap. */
const EXEC_ARGV = ['--max-old-space-size=128']

/**
 * The child inherits nothing: no address and no password of the service is in reach of a decoder that was taken over.
 * Each process decodes one image at a time, so two threads are enough; two arenas keep glibc from spreading memory.
 */
const ENVIRONMENT = { UV_THREADPOOL_SIZE: '2', MALLOC_ARENA_MAX: '2' }

/**
 * The kernel counts what is reserved: Node with sharp reserves 640 MiB before the first image, of which 60 MiB are resident, and each
 * thread of an AV1 decoder a stack.
 */
const RESERVED_BYTES = 1024 * 1024 * 1024
const RESERVED_BYTES_PER_CORE = 16 * 1024 * 1024

/**
 * The limit of data is the kernel's: an allocation beyond it fails, however fast it came and whatever the process is stuck in. When the
 * machine itself runs out of memory, a decoder is to die, and not the service. A core file would hold the pixels. A limit below ours
 * that is there already stays; a shell that cannot set one ends, so it is tried in another.
 */
const CONFINE = `
ulimit -c 0
(ulimit -d "$1") 2>/dev/null && ulimit -d "$1"
{ echo 1000 > /proc/$$/oom_score_adj; } 2>/dev/null
shift
exec "$@"`

/** Runs a module in a process of its own with a channel to it, and no more memory than so much above what it needs for itself. */
export function spawnConfined(entry: URL, memoryBytesMax: number): ChildProcess {
  const command = [process.execPath, ...EXEC_ARGV, fileURLToPath(entry)]
  return spawn('/bin/sh', ['-c', CONFINE, 'decoder', String(Math.ceil(dataBytesMax(memoryBytesMax) / 1024)), ...command], {
    serialization: 'advanced',
    env: ENVIRONMENT,
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
}

export function dataBytesMax(memoryBytesMax: number): number {
  return memoryBytesMax + RESERVED_BYTES + availableParallelism() * RESERVED_BYTES_PER_CORE
}
