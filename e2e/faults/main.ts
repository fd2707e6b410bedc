/** `pnpm faults`: kills what it started, over and over, and looks whether anything was lost. */
import { parseArgs } from 'node:util'
import { MUTANTS } from './mutants.ts'
import { explanationOf, tableOf } from './report.ts'
import { type Progress, runFaults } from './run.ts'
import { runTrials } from './trials.ts'

const HELP = `Usage: pnpm faults [options]

Starts PostgreSQL, Redis and an S3, two intakes and two workers, uploads without pause, kills the processes at named places,
breaks servers and network, heals everything, waits until all is done, and looks whether anything was lost or done twice.
Prints a table; ends with exit code 1 when something is not as it must be. Everything is on this machine and of this run.

  --uploads <n>     uploads at least (300)
  --kills <n>       processes killed at least (300), at failpoints and elsewhere
  --minutes <n>     what is not reached by then is not, and the run is red (15)
  --rounds <n>      how often each fault of servers, network, disk and clients happens (1)
  --faults <text>   only those whose name contains this, as in --faults Redis, or one of these: --faults FLUSHALL,'at once'; or none
  --wiring <which>  production: Redis and S3, five processes; embedded: one process, queue in PostgreSQL, files in a folder
  --seed <n>        what chance decides: places, faults and their order (a new one each time)
  --break <names>   takes guards away, to see that the run turns red: ${Object.keys(MUTANTS).join(', ')}
  --break all       takes them away one after the other, each in a short run that calls for it, and prints a table
  --break all:<one> only those whose name contains this
  --nightly         10,000 uploads, 3,000 kills, 3 rounds, PostgreSQL restarted 14 times more and away for a minute, at most 180 minutes
  -h, --help        this text
`

const WIDTH = 24
/** Where no line can be written over, a line so often. */
const LINE_MS = 20_000
let nextLineAt = 0

const { values } = parseArgs({
  options: {
    uploads: { type: 'string' },
    kills: { type: 'string' },
    minutes: { type: 'string' },
    rounds: { type: 'string' },
    faults: { type: 'string', default: '' },
    wiring: { type: 'string', default: 'production' },
    seed: { type: 'string' },
    break: { type: 'string', default: '' },
    nightly: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
})

if (values.help) process.stdout.write(HELP)
else if (values.break.split(':')[0] === 'all') await tryAll()
else await main()

async function tryAll(): Promise<void> {
  dieWhenAsked()
  const isAsExpected = await runTrials(numberOf('seed', 1), say, complain, values.break.split(':')[1])
  process.exitCode = isAsExpected ? 0 : 1
}

async function main(): Promise<void> {
  dieWhenAsked()
  const size = values.nightly
    ? { uploads: 10_000, kills: 3_000, minutes: 180, rounds: 3 }
    : { uploads: 300, kills: 300, minutes: 15, rounds: 1 }
  const report = await runFaults({
    uploads: numberOf('uploads', size.uploads),
    kills: numberOf('kills', size.kills),
    minutes: numberOf('minutes', size.minutes),
    rounds: numberOf('rounds', size.rounds),
    seed: numberOf('seed', Math.floor(Math.random() * 1_000_000)),
    isLong: values.nightly,
    wiring: values.wiring === 'embedded' ? 'embedded' : 'production',
    faults: values.faults,
    mutants: values.break.split(',').filter((name) => name !== ''),
    onProgress: show,
  })
  clear()
  if (report.store === 'fauxqs') say('There is no MinIO on this machine: a stand-in took its place.')
  say(tableOf(report))
  say(`\n${explanationOf(report)}`)
  process.exitCode = report.violations.length === 0 ? 0 : 1
}

/** With all that was started. */
function dieWhenAsked(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
}

function numberOf(name: 'uploads' | 'kills' | 'minutes' | 'rounds' | 'seed', byDefault: number): number {
  const number = Number(values[name] ?? byDefault)
  if (Number.isFinite(number) && number >= 0) return number
  throw new Error(`--${name} is a number, not ${values[name]}.`)
}

function show({ phase, part, sent, kills, placesLeft }: Progress): void {
  const counts = `${sent} uploads  ${kills} kills  ${placesText(placesLeft)}${phase}`
  if (!process.stderr.isTTY) {
    if (Date.now() < nextLineAt) return
    nextLineAt = Date.now() + LINE_MS
    complain(`${Math.floor(performance.now() / 1000)} s  ${counts}`)
    return
  }
  const full = Math.round(part * WIDTH)
  const bar = '█'.repeat(full) + '░'.repeat(WIDTH - full)
  process.stderr.write(`\r\u001b[K${bar}  ${counts}`)
}

function placesText(left: readonly string[]): string {
  if (left.length === 0) return ''
  return left.length < 4 ? `not yet at ${left.join(', ')}  ` : `${left.length} places left  `
}

function clear(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K')
}

function complain(text: string): void {
  process.stderr.write(`${text}\n`)
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
