import type { LocalCopy } from '@sluice/core'
import { guarded } from './failures.ts'
import type { Scratch } from './scratch.ts'

/** What lies under these keys, one after the other, as one file. Null when one of them is missing. */
export async function gatherInto(
  scratch: Scratch,
  keys: readonly string[],
  open: (key: string) => Promise<AsyncIterable<Uint8Array> | null>,
  { signal, flush = false }: { readonly signal: AbortSignal; readonly flush?: boolean },
): Promise<LocalCopy | null> {
  return guarded(signal, async () => {
    try {
      return await scratch.copy(oneAfterTheOther(keys, open), { flush })
    } catch (error) {
      if (error instanceof Missing) return null
      throw error
    }
  })
}

class Missing extends Error {
  override readonly name = 'Missing'
}

async function* oneAfterTheOther(
  keys: readonly string[],
  open: (key: string) => Promise<AsyncIterable<Uint8Array> | null>,
): AsyncIterable<Uint8Array> {
  for (const key of keys) {
    const bytes = await open(key)
    if (!bytes) throw new Missing()
    yield* bytes
  }
}
