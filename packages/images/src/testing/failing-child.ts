/** A decoder process for the tests of the pool: the path says how it behaves. */
import { rmSync, writeSync } from 'node:fs'
import type { Message, Task } from '../decoder-process.ts'

process.on('message', ({ path }: Task) => behave(path))
process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'))
say({ kind: 'ready' })

function behave(path: string): void {
  // A path that is a file is removed as a sign that the work has begun, and then nothing ever comes of it.
  if (path.startsWith('/')) {
    rmSync(path)
    path = 'hang'
  }
  switch (path) {
    case 'hang':
      for (;;) continue
    case 'wait':
      return
    case 'exit':
      writeSync(2, 'the last words')
      process.exit(3)
    case 'die':
      process.kill(process.pid, 'SIGKILL')
      return
    case 'grow':
      return say({ kind: 'memory_exceeded', residentBytes: 1 })
    case 'swell':
      return say({ kind: 'result', result: process.pid, residentBytes: Number.MAX_SAFE_INTEGER })
    default:
      say({ kind: 'result', result: process.pid, residentBytes: 1 })
  }
}

function say(message: Message<number>): void {
  process.send?.(message)
}
