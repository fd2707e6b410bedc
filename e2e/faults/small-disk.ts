import { execFile, execFileSync } from 'node:child_process'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** A file system in memory that can be full. */
export interface SmallDisk extends AsyncDisposable {
  /** Takes all that is free at this moment. */
  fill(): Promise<void>
  free(): Promise<void>
}

const MEBIBYTES = 96

/** Null where nothing can be mounted, as for whoever is not root. */
export async function mountSmallDisk(directory: string): Promise<SmallDisk | null> {
  await mkdir(directory, { recursive: true })
  const mounted = await promisify(execFile)('mount', [
    '-t',
    'tmpfs',
    '-o',
    `size=${MEBIBYTES}m,mode=755`,
    'tmpfs',
    directory,
  ]).then(
    () => true,
    () => false,
  )
  if (!mounted) return null
  // Lazily: whoever holds a file of it may take a moment to die.
  const unmount = () => void execFileSync('umount', ['-l', directory])
  process.once('exit', unmount)
  const fillers: string[] = []
  return {
    async fill() {
      const filler = join(directory, `filler-${fillers.length}`)
      fillers.push(filler)
      // It fails where the disk ends, and leaves what it has written.
      await writeFile(filler, Buffer.alloc(MEBIBYTES * 1024 * 1024)).catch(() => undefined)
    },
    async free() {
      for (const filler of fillers.splice(0)) await rm(filler, { force: true })
    },
    async [Symbol.asyncDispose]() {
      process.off('exit', unmount)
      unmount()
    },
  }
}
