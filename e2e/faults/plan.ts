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
  /** Where somebody is to die, and nobody has yet. */
  readonly unhit: () => readonly Failpoint[]
  /** Nobody is armed any more. */
  stop(): void
  readonly isOver: () => boolean
}

/** Places that are passed only when something else went wrong before, or rarely: the first time counts. */
const RARE: ReadonlySet<Failpoint> = new Set([
  'rec-after-bump',
  'gc-marked',
  'gc-object-deleted',
  'change-locked',
  'change-before-commit',
])
/** Short lives: most end the first or second time that they come by. */
const TURNS_MAX: Readonly<Record<Role, number>> = { intake: 6, worker: 3, up: 4 }
/** What intakes take is what the others do: the more is to be sent for each kill, the longer they live. */
const INTAKE_TURNS_PER_UPLOAD = 5
/** The first that is passed kills. Some are passed only when something else has gone wrong, and must not keep a life waiting. */
const ARMED = 3

export function openPlan({ uploads, kills }: { readonly uploads: number; readonly kills: number }, random: Random): Plan {
  const killsOf = new Map<Failpoint, number>(FAILPOINTS.map((point) => [point, 0]))
  let stopped = kills === 0
  const intakeTurns = Math.max(TURNS_MAX.intake, Math.round((INTAKE_TURNS_PER_UPLOAD * uploads) / Math.max(1, kills)))
  const turnsMax = { ...TURNS_MAX, intake: intakeTurns }
  /** What was never hit is hit at once. */
  const turnOf = (point: Failpoint, role: Role) =>
    RARE.has(point) || killsOf.get(point) === 0 ? 1 : 1 + Math.floor(random() * turnsMax[role])
  return {
    arm(role) {
      if (stopped) return null
      const own = FAILPOINTS.filter((point) => role === 'up' || roleOf(point) === role)
      const score = (point: Failpoint) => (killsOf.get(point) ?? 0) + random()
      const least = own
        .map((point) => [score(point), point] as const)
        .toSorted(([a], [b]) => a - b)
        .slice(0, ARMED)
        .map(([, point]) => point)
      // Beside places that are passed more often, or before it, it would never come to this.
      const untried = least.filter((point) => RARE.has(point) && killsOf.get(point) === 0).slice(0, 1)
      const chosen = untried.length > 0 && random() < 0.5 ? untried : least
      return chosen.map((point) => `${point}=kill@${turnOf(point, role)}`).join(',')
    },
    hit: (point) => void killsOf.set(point, (killsOf.get(point) ?? 0) + 1),
    killsOf,
    unhit: () => (kills === 0 ? [] : FAILPOINTS.filter((point) => killsOf.get(point) === 0)),
    kills: () => killsOf.values().reduce((sum, count) => sum + count, 0),
    stop: () => void (stopped = true),
    isOver: () => stopped,
  }
}

function roleOf(point: Failpoint): Role {
  return point.startsWith('in-') || point.startsWith('change-') ? 'intake' : 'worker'
}
