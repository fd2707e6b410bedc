/** What the caller stages, as far as bodies care: it can be taken back. */
export interface Discardable {
  discard(): Promise<void>
}

/** What a body says of its file before the file. Null where it says nothing, or may say it only later. */
export interface FileMeta {
  readonly declaredType: string | null
  readonly fileName: string | null
}

/** Reads `bytes` to their end, or throws. What `bytes` throws may be wrapped: the reader of the body remembers it. */
export type StageBytes<Staged> = (bytes: AsyncIterable<Uint8Array>, meta: FileMeta) => Promise<Staged>

/** Stages what a body brings, tells the body's faults from the store's, and takes the file back when the body turns out bad. */
export function openStaging<Staged extends Discardable>(stage: StageBytes<Staged>) {
  const begun: Promise<Staged>[] = []

  const stageOnce: StageBytes<Staged> = (bytes, meta) => {
    const source = witness(bytes)
    const staging = stage(source.bytes, meta).catch((error: unknown) => {
      throw source.fault() ?? error
    })
    begun.push(staging)
    return staging
  }

  return {
    stage: stageOnce,
    async discard(): Promise<void> {
      // When staging itself failed nothing was kept; and what cannot be discarded is swept later.
      for (const staging of begun.splice(0)) await staging.then((staged) => staged.discard()).catch(() => undefined)
    },
  }
}

/** Passes bytes on and remembers what they threw, so that a store's wrapping cannot hide that the client was at fault. */
function witness(bytes: AsyncIterable<Uint8Array>) {
  let fault: unknown
  async function* passed(): AsyncGenerator<Uint8Array> {
    try {
      yield* bytes
    } catch (error) {
      fault = error
      throw error
    }
  }
  return { bytes: passed(), fault: () => fault }
}
