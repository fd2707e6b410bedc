import { readdirSync, readFileSync } from 'node:fs'

/** Children of this process, those that are dead and not yet waited for among them. */
export function children(): readonly { readonly pid: number; readonly state: string }[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const stat = read(`/proc/${pid}/stat`)
      const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return Number(parent) === process.pid && state !== undefined ? [{ pid: Number(pid), state }] : []
    })
}

/** The most memory that it ever had resident, kept by the kernel; 0 when it has ended. */
export function peakOf(pid: number): number {
  return Number(/VmHWM:\s+(\d+) kB/.exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // It has ended since its name was read.
    return ''
  }
}
