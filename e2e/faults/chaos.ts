import type { Plan, Random } from './plan.ts'
import type { Progress, RunOptions } from './run.ts'
import { pause } from './servers.ts'
import { type Fault, faultsOf, type Scene } from './trouble.ts'

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
  const { uploads, kills, minutes, onProgress } = options
  const queue = queueOf(scene, options, random)
  const happened = new Map<string, number>()
  const total = queue.length
  const deadline = Date.now() + minutes * 60_000
  const killed = () => plan.kills() + scene.fleet.killsFromOutside()
  const part = () => Math.min(1, scene.load.history.sent / uploads, kills === 0 ? 1 : killed() / kills)
  const placesLeft = () => (kills === 0 ? 0 : [...plan.killsOf.values()].filter((count) => count === 0).length)
  const tell = (phase: string) =>
    onProgress({ phase, part: part(), sent: scene.load.history.sent, kills: killed(), placesLeft: placesLeft() })
  const happen = async (fault: Fault) => {
    outage.isNow ||= fault.isOutage === true
    await fault.happen()
    if (fault.isOutage) Object.assign(outage, { isNow: false, until: Date.now() + AFTERMATH_MS })
    happened.set(fault.name, (happened.get(fault.name) ?? 0) + 1)
  }
  await scene.redis?.remember()
  let phase = 'killing'
  const telling = setInterval(() => tell(phase), TELL_MS)
  while ((part() < 1 || queue.length > 0 || placesLeft() > 0) && Date.now() < deadline) {
    phase = queue[0]?.name ?? 'killing'
    const due = Math.ceil(part() * (total + 1))
    const fault = total - queue.length < due ? queue.shift() : undefined
    if (fault) await happen(fault)
    else await pause(100)
  }
  clearInterval(telling)
  for (const { name } of queue) scene.complaints.push(`${name}: there was no time for it`)
  if (part() < 1)
    scene.complaints.push(`${killed()} of ${kills} kills and ${scene.load.history.sent} of ${uploads} uploads in time`)
  return happened
}

function queueOf(
  scene: Scene,
  { rounds, faults: named, isLong }: Pick<RunOptions, 'rounds' | 'faults' | 'isLong'>,
  random: Random,
) {
  return Array.from({ length: rounds }, (_, round) =>
    faultsOf(scene)
      .filter((fault) => fault.name.includes(named) && (!fault.isLong || (isLong && round === 0)))
      .map((fault) => [random(), fault] as const)
      .toSorted(([a], [b]) => a - b)
      .map(([, fault]) => fault),
  ).flat()
}
