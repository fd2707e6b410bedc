/** Something that takes turns until it is disposed of. */
export interface LoopOptions {
  /** One turn; true when there is more to do at once. It must come to an end by itself. */
  readonly turn: () => Promise<boolean>
  /** The longest wait between two turns. */
  readonly idleMs: number
  /** Called with what a turn threw; the loop goes on after its wait. */
  readonly onError: (error: unknown) => void
  /** Subscribes to wake-up calls. */
  readonly wakeOn?: (wake: () => void) => Disposable
}

/** Turns follow one another and never overlap. Disposing lets the current turn finish. */
export function openLoop({ turn, idleMs, onError, wakeOn }: LoopOptions): AsyncDisposable {
  const stopping = new AbortController()
  let wake = () => {}
  let woken = false
  const subscription = wakeOn?.(() => {
    woken = true
    wake()
  })

  const rest = () =>
    new Promise<void>((resolve) => {
      if (woken || stopping.signal.aborted) return resolve()
      const timer = setTimeout(resolve, idleMs)
      wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const running = (async () => {
    while (!stopping.signal.aborted) {
      woken = false
      const more = await turn().catch((error: unknown) => {
        onError(error)
        return false
      })
      if (!more) await rest()
    }
  })()

  return {
    async [Symbol.asyncDispose]() {
      stopping.abort()
      subscription?.[Symbol.dispose]()
      wake()
      await running
    },
  }
}
