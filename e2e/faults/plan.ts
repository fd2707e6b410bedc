/** Which process dies where: each life is armed with one failpoint, that of its role which has killed least. */
import { FAILPOINTS, type Failpoint, randomFrom } from '@sluice/core'

export type Role = 'intake' | 'worker' | 'up'

export type Random = () => number

export { randomFrom }

export interface Plan {
  /** The specification for the next life of a process; null when enough have been killed. */
  arm(role: Role): { readonly point: Failpoint; readonly specification: string } | null
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
const TURNS_MAX = 8

export function openPlan(killsMax: number, random: Random): Plan {
  const killsOf = new Map<Failpoint, number>(FAILPOINTS.map((point) => [point, 0]))
  const armedOf = new Map<Failpoint, number>(FAILPOINTS.map((point) => [point, 0]))
  let stopped = false
  const kills = () => killsOf.values().reduce((sum, count) => sum + count, 0)
  return {
    arm(role) {
      if (stopped || kills() >= killsMax) return null
      const own = FAILPOINTS.filter((point) => role === 'up' || roleOf(point) === role)
      const score = (point: Failpoint) => (killsOf.get(point) ?? 0) + (armedOf.get(point) ?? 0) / 2 + random()
      const scored = own.map((point) => [score(point), point] as const).toSorted(([a], [b]) => a - b)
      const point = scored[0]?.[1] ?? 'w-start'
      armedOf.set(point, (armedOf.get(point) ?? 0) + 1)
      const turn = RARE.has(point) ? 1 : 1 + Math.floor(random() * TURNS_MAX)
      return { point, specification: `${point}=kill@${turn}` }
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
