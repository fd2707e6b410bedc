import type { Decoder, Inspection, Limits } from '@sluice/core'
import { openPool } from './pool.ts'
import { sniff } from './sniff.ts'

export interface DecoderOptions {
  /** Images that are decoded at the same time, each in a process of its own. */
  readonly processes: number
  readonly limits: Limits
}

const CHILD = new URL('decode-child.ts', import.meta.url)

/** Processes are started when they are first needed; disposing of the decoder ends them, whatever they are doing. */
export async function openDecoder({ processes, limits }: DecoderOptions): Promise<Decoder & AsyncDisposable> {
  const pool = openPool<Inspection>({ entry: CHILD, processes, limits })
  return {
    sniff,
    inspect: (path, signal) => pool.run(path, signal),
    [Symbol.asyncDispose]: () => pool[Symbol.asyncDispose](),
  }
}
