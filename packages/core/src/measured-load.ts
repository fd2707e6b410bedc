/** A load that is measured now and then, and what is known of it in between. */
import type { Waiting, World } from './ports.ts'

const NOTHING: Waiting = { waiting: 0, stagedBytes: 0 }

/** Sums of amounts: over all, and by whom each belongs to. */
export function openTally<Id>() {
  const amounts = new Map<Id | null, Waiting>()

  const addTo = (id: Id | null, { waiting, stagedBytes }: Waiting) => {
    const known = amounts.get(id) ?? NOTHING
    const sum = { waiting: known.waiting + waiting, stagedBytes: known.stagedBytes + stagedBytes }
    if (sum.waiting === 0 && sum.stagedBytes === 0) amounts.delete(id)
    else amounts.set(id, sum)
  }

  return {
    add(id: Id, amount: Waiting): void {
      addTo(id, amount)
      addTo(null, amount)
    },
    /** Null: over all. */
    of: (id: Id | null): Waiting => amounts.get(id) ?? NOTHING,
    clear: () => amounts.clear(),
  }
}

/** Asks at most once in `ageMsMax`, however many wait for it, and not again while it waits itself. A failure is forgotten at once. */
export function openMeasure<Load>(ask: () => Promise<Load>, ageMsMax: number, now: World['now']) {
  let last: { untilMs: number; readonly load: Promise<Load> } | null = null
  /** What was let in after the last measure began, and is perhaps not in it. */
  const since = openTally<string>()

  return {
    since,
    measure(): Promise<Load> {
      if (last && now().getTime() < last.untilMs) return last.load
      since.clear()
      const mine = { untilMs: Number.POSITIVE_INFINITY, load: ask() }
      last = mine
      const startedMs = now().getTime()
      mine.load.then(
        () => (mine.untilMs = startedMs + ageMsMax),
        () => (last = last === mine ? null : last),
      )
      return mine.load
    },
  }
}
