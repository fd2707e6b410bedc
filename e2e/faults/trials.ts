/** `--break all`: each guard is taken away in a short run that calls for it, and the run must turn red; by what it must tell. */
import type { MUTANTS } from './mutants.ts'
import { type RunOptions, runFaults } from './run.ts'
import { NO_FAULT } from './trouble.ts'

interface Trial {
  readonly broken: readonly (keyof typeof MUTANTS)[]
  /** What the run consists of, beside a load of uploads. */
  readonly run: Partial<Pick<RunOptions, 'kills' | 'uploads' | 'rounds' | 'faults' | 'minutes'>>
  /** What must be found wrong, each of these; nothing where another guard stands behind. */
  readonly tells: readonly string[]
  readonly because: string
}

const TRIALS: readonly Trial[] = [
  {
    broken: ['outbox'],
    run: { uploads: 80, faults: NO_FAULT },
    tells: ['saved by the reconciler alone'],
    because: 'the reconciler stands behind it, and has everything to do',
  },
  {
    broken: ['relay'],
    run: { kills: 40, faults: NO_FAULT },
    tells: ['lost on the way to the queue'],
    because: 'what a relay had taken died with it, and waited for the reconciler',
  },
  {
    broken: ['relay', 'reconciler'],
    run: { kills: 40, faults: NO_FAULT },
    tells: ['stuck'],
    because: 'nobody stood behind it',
  },
  { broken: ['reconciler'], run: { uploads: 60, faults: 'FLUSHALL' }, tells: ['stuck'], because: 'the queue was lost' },
  {
    broken: ['lock'],
    run: { uploads: 120, faults: NO_FAULT },
    tells: ['unexplained errors'],
    because: 'the constraints stand behind it, and refuse what two commits chose at once',
  },
  {
    broken: ['unique'],
    run: { uploads: 120, faults: NO_FAULT },
    tells: [],
    because: 'it stands behind the lock and the fence',
  },
  {
    broken: ['lock', 'unique'],
    run: { uploads: 120, faults: NO_FAULT },
    tells: ['duplicate names'],
    because: 'two commits chose at once',
  },
  {
    broken: ['fence'],
    run: { uploads: 60, faults: 'asleep' },
    tells: [],
    because: 'the constraint stands behind it, and refuses the second image of an ingest',
  },
  {
    broken: ['fence', 'unique'],
    run: { uploads: 60, faults: 'asleep' },
    tells: ['twice'],
    because: 'a worker woke up after another had done its work',
  },
  {
    broken: ['start'],
    run: { kills: 60, faults: NO_FAULT },
    tells: ['unexplained errors'],
    because: 'a job whose worker died after its commit ran again, up to the constraint',
  },
  {
    broken: ['digest'],
    run: { uploads: 30, faults: 'rot' },
    tells: ['lost', 'dangling'],
    because: 'rotten bytes were committed',
  },
  {
    broken: ['idempotency'],
    run: { uploads: 30, faults: 'one key' },
    tells: ['twice'],
    because: 'each request was one of its own',
  },
  {
    broken: ['sweeper'],
    run: { kills: 30, faults: NO_FAULT },
    tells: ['orphans after sweeping'],
    because: 'what killed intakes had staged stays',
  },
  {
    broken: ['needed'],
    run: { uploads: 60, faults: 'object store away' },
    tells: ['lost'],
    because: 'bytes that were promised were swept while they waited',
  },
  {
    broken: ['outage'],
    run: { uploads: 60, faults: 'object store away' },
    tells: ['lost'],
    because: 'an outage used up the attempts',
  },
]

/** Prints a row for each as it ends. True when each ended as it must. */
export async function runTrials(
  seed: number,
  say: (row: string) => void,
  explain: (text: string) => void,
  only = '',
): Promise<boolean> {
  let isAsExpected = true
  say('| broken | the run | must tell | told | |\n| --- | --- | --- | --- | --- |')
  for (const { broken, run, tells, because } of TRIALS) {
    if (!broken.join(',').includes(only)) continue
    const options = {
      seed,
      wiring: 'production',
      uploads: 30,
      kills: 0,
      minutes: 2,
      rounds: 1,
      faults: '',
      isLong: false,
    } as const
    const { wrong, findings, unexpected } = await runFaults({ ...options, ...run, mutants: broken })
    const isRight =
      tells.length === 0 ? wrong.length === 0 : tells.every((name) => wrong.some((one) => one.startsWith(`${name}:`)))
    isAsExpected &&= isRight
    const outcome = wrong.length === 0 ? 'green' : `red: ${wrong.join(', ')}`
    const expected = tells.length === 0 ? 'nothing' : tells.join(', ')
    const how =
      [run.kills ? `${run.kills} kills` : '', run.faults === NO_FAULT ? '' : run.faults].filter(Boolean).join(', ') ||
      'load alone'
    if (!isRight) explain([...findings.examples, ...unexpected].join('\n'))
    say(`| \`${broken.join(',')}\` | ${how} | ${expected} | ${outcome}${isRight ? '' : ' **(not as expected)**'} | ${because} |`)
  }
  return isAsExpected
}
