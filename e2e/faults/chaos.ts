import type { Plan, Random } from './plan.ts'
import type { Progress, RunOptions } from './run.ts'
import { pause } from './servers.ts'
import { type Fault, faultsOf, isNamed, refuseUnknownFaults, type Scene } from './trouble.ts'

export interface Outage {
  until: number
  isNow: boolean
}

/** What an outage does to a start lasts a little longer than the outage. */
const AFTERMATH_MS = 10_000
const TELL_MS = 500

/**
 * Goes on until enough was sent and killed, each place was hit and each fault has happened, with the faults spread over the way
 * there; or until the time is over. Returns how often each happened, and names those that were to happen and did not.
 */
export async function makeTrouble(
  scene: Scene,
  options: Omit<RunOptions, 'onProgress'> & { onProgress: (progress: Progress) => void },
  plan: Plan,
  random: Random,
  outage: Outage,
): Promise<ReadonlyMap<string, number>> {
  const { uploads, kills, minutes, rounds, onProgress } = options
  refuseUnknownFaults(scene, options.faults)
  const queue = Array.from({ length: rounds }, (_, round) => roundOf(scene, options, round, random)).flat()
  const happened = new Map<string, number>()
  const total = queue.length
  const deadline = Date.now() + minutes * 60_000
  const killed = () => plan.kills() + scene.fleet.killsFromOutside()
  const part = () => Math.min(1, scene.load.history.sent / uploads, kills === 0 ? 1 : killed() / kills)
  const tell = (phase: string) =>
    onProgress({ phase, part: part(), sent: scene.load.history.sent, kills: killed(), placesLeft: plan.unhit() })
  /** Some places are passed only after a fault, and nobody may have been armed there when it came. */
  let extra: Fault[] = []
  const another = () => {
    if (extra.length === 0) extra = roundOf(scene, options, 1, random)
    return extra.shift()
  }
  const next = () => {
    if (queue.length === 0) return part() < 1 ? undefined : another()
    return total - queue.length < Math.ceil(part() * (total + 1)) ? queue.shift() : undefined
  }
  const happen = async (fault: Fault) => {
    outage.isNow ||= fault.isOutage === true
    await fault.happen()
    if (fault.isOutage) Object.assign(outage, { isNow: false, until: Date.now() + AFTERMATH_MS })
    happened.set(fault.name, (happened.get(fault.name) ?? 0) + 1)
  }
  await scene.redis?.remember()
  let phase = ''
  const telling = setInterval(() => tell(phase), TELL_MS)
  try {
    while ((part() < 1 || queue.length > 0 || plan.unhit().length > 0) && Date.now() < deadline) {
      const fault = next()
      phase = fault?.name ?? 'killing'
      if (fault) await happen(fault)
      else await pause(100)
    }
  } finally {
    clearInterval(telling)
  }
  for (const { name } of queue) scene.complaints.push(`${name}: there was no time for it`)
  if (part() < 1)
    scene.complaints.push(`${killed()} of ${kills} kills and ${scene.load.history.sent} of ${uploads} uploads in time`)
  return happened
}

function roundOf(
  scene: Scene,
  { faults: named, isLong }: Pick<RunOptions, 'faults' | 'isLong'>,
  round: number,
  random: Random,
): Fault[] {
  return faultsOf(scene)
    .filter((fault) => isNamed(fault.name, named) && (!fault.isLong || (isLong && round === 0)))
    .map((fault) => [random(), fault] as const)
    .toSorted(([a], [b]) => a - b)
    .map(([, fault]) => fault)
}
