/** Time that passes when a test says so. */
export interface ManualClock {
  readonly now: () => Date
  advance(ms: number): void
}

export function manualClock(start = new Date('2026-01-01T00:00:00Z')): ManualClock {
  let ms = start.getTime()
  return {
    now: () => new Date(ms),
    advance: (by) => void (ms += by),
  }
}
