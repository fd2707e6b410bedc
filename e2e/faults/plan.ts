/** Which process dies where: each life is armed with a few failpoints, those of its role which have killed least. */
import { FAILPOINTS, type Failpoint, randomFrom } from '@sluice/core'

export type Role = 'intake' | 'worker' | 'up'

export type Random = () => number

export { randomFrom }

export interface Plan {
  /** The specification for the next life of a process; null when enough have been killed. */
  arm(role: Role): string | null
  /** A process has died where it was to die. */
  hit(point: Failpoint): void
  readonly killsOf: ReadonlyMap<Failpoint, number>
  readonly kills: () => number
  /** Nobody is armed any more. */
  stop(): void
}

/** Places that are passed only when something else went wrong before, or rarely: the first time counts. */
const RARE: ReadonlySet<Failpoint> = new Set([
  'rec-after-bump',
  'gc-marked',
  'gc-object-deleted',
  'change-locked',
  'change-before-commit',
])
const TURNS_MAX = 6
/** The first that is passed kills. Some are passed only when something else has gone wrong, and must not keep a life waiting. */
const ARMED = 3

export function openPlan(killsMax: number, random: Random): Plan {
  const killsOf = new Map<Failpoint, number>(FAILPOINTS.map((point) => [point, 0]))
  let stopped = false
  /** What was never hit is hit at once. */
  const turnOf = (point: Failpoint) => (RARE.has(point) || killsOf.get(point) === 0 ? 1 : 1 + Math.floor(random() * TURNS_MAX))
  const kills = () => killsOf.values().reduce((sum, count) => sum + count, 0)
  return {
    arm(role) {
      const all = FAILPOINTS.filter((point) => role === 'up' || roleOf(point) === role)
      // Intakes start sooner and die more often: their kills must not use up those of places that were never hit.
      const own = kills() < killsMax ? all : all.filter((point) => killsOf.get(point) === 0)
      if (stopped || killsMax === 0 || own.length === 0) return null
      const score = (point: Failpoint) => (killsOf.get(point) ?? 0) + random()
      const scored = own.map((point) => [score(point), point] as const).toSorted(([a], [b]) => a - b)
      const least = scored.slice(0, ARMED).map(([, point]) => point)
      // Beside places that are passed more often, or before it, it would never come to this.
      const untried = least.filter((point) => RARE.has(point) && killsOf.get(point) === 0).slice(0, 1)
      const chosen = untried.length > 0 && random() < 0.5 ? untried : least
      return chosen.map((point) => `${point}=kill@${turnOf(point)}`).join(',')
    },
    hit: (point) => void killsOf.set(point, (killsOf.get(point) ?? 0) + 1),
    killsOf,
    kills,
    stop: () => void (stopped = true),
  }
}

function roleOf(point: Failpoint): Role {
  return point.startsWith('in-') || point.startsWith('change-') ? 'intake' : 'worker'
}
