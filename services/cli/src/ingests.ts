import { humanBytes, INGEST_STATES } from '@sluice/core'
import { Command, InvalidArgumentError, Option } from 'commander'
import { type Api, ApiRefusal, itemsOf } from './api.ts'
import { CommandError, EXIT, type ExitCode } from './command-error.ts'
import {
  filterOf,
  type FilterOptions,
  type IngestView,
  listPath,
  PAGE_MAX,
  type TimelineView,
  withFilter,
} from './ingest-filter.ts'
import { addTo, readCount } from './option-values.ts'
import { exitForUsage, overApi, type ServerOptions, withServer } from './over-api.ts'
import { printTable, say } from './print.ts'

interface ListOptions extends ServerOptions, FilterOptions {
  readonly state?: readonly string[]
  readonly limit: number
  readonly json?: true
}

/** What became of uploads, and why. */
export function ingestsCommand(): Command {
  const command = new Command('ingests')
    .description('show what became of uploads, and why')
    .showHelpAfterError('(add --help for help)')
    .addHelpText('after', HELP)
    .exitOverride(exitForUsage)
  withServer(withFilter(command.command('list')), 'reader')
    .description('list ingests, newest first')
    .addOption(new Option('--state <state>', `${INGEST_STATES.join(', ')}; several times for several`).argParser(readState))
    .addOption(new Option('--limit <n>', 'how many at most').argParser(readCount(100_000)).default(50))
    .option('--json', 'as the API tells it, a line for each')
    .action((options: ListOptions) => overApi(options, (api) => listIngests(api, options), leave))
  withServer(command.command('show'), 'reader')
    .description('show one with its timeline')
    .argument('<id>', 'as "ingests list" shows it')
    .option('--json', 'as the API tells it')
    .action((id: string, options: ServerOptions & { json?: true }) =>
      overApi(options, (api) => showIngest(api, id, options.json ?? false), leave),
    )
  return command
}

const HELP = `
Examples:
  $ sluice ingests list --state failed              what was given up, and whether it can be replayed
  $ sluice ingests list --code source_unavailable --since 24h
  $ sluice ingests show 0197f1c2-3a4b-7c5d-8e6f-0123456789ab

Ends with 0 when all is well, 2 when it was called wrongly, 3 when the server cannot be reached.
`

const leave = () => EXIT.interrupted

function readState(state: string, before?: readonly string[]): readonly string[] {
  const known: readonly string[] = INGEST_STATES
  if (known.includes(state)) return addTo(state, before)
  throw new InvalidArgumentError(`there are ${known.join(', ')}.`)
}

async function listIngests(api: Api, { state, limit, json, ...filter }: ListOptions): Promise<ExitCode> {
  const path = listPath({ ...filterOf(filter), ...(state && { state }) }, Math.min(limit, PAGE_MAX))
  const found: IngestView[] = []
  let shown = 0
  for await (const ingest of itemsOf<IngestView>(api, path)) {
    shown += 1
    if (json) say(JSON.stringify(ingest))
    else found.push(ingest)
    if (shown === limit) break
  }
  if (json) return EXIT.fine
  if (found.length === 0) say('No ingest is like that.')
  else printTable(['id', 'state', 'received', 'attempts', 'file', 'error', 'replay'], found.map(rowOf))
  return EXIT.fine
}

function rowOf(ingest: IngestView): readonly string[] {
  const { id, state, created_at: createdAt, attempts, error } = ingest
  return [id, state, createdAt, String(attempts), nameOf(ingest), error ? errorWords(error) : '', replayWord(ingest)]
}

function nameOf({ file_name: fileName, source_url: url }: IngestView): string {
  return fileName ?? url ?? ''
}

/** "attempts_exhausted: bytes_damaged in validate" */
function errorWords({ code, cause, step }: NonNullable<IngestView['error']>): string {
  if (cause === undefined) return code
  return `${code}: ${cause}${step === null || step === undefined ? '' : ` in ${step}`}`
}

function replayWord({ replay }: IngestView): string {
  if (!replay) return ''
  if (!replay.possible) return 'no'
  return replay.until === null ? 'yes' : `until ${replay.until}`
}

async function showIngest(api: Api, id: string, isJson: boolean): Promise<ExitCode> {
  const ingest = await findIngest(api, id)
  if (isJson) {
    say(JSON.stringify(ingest, null, 2))
    return EXIT.fine
  }
  const { state, error, replay, attempts, bytes, product_id: product } = ingest
  const facts = [
    ['state', state],
    ['file', nameOf(ingest)],
    ['bytes', bytes === null ? '' : humanBytes(bytes)],
    ['product', product ?? ''],
    ['received', ingest.created_at],
    ['finished', ingest.finished_at ?? ''],
    ['attempts', String(attempts)],
    ['error', error ? `${errorWords(error)}. ${error.detail ?? error.title}` : ''],
    ['replay', replay ? [replayWord(ingest), replay.detail].filter(Boolean).join('. ') : ''],
  ] as const
  for (const [name, value] of facts) if (value !== '') say(`${name.padEnd(10)}${value}`)
  say()
  printTable(
    ['at', 'attempt', 'step', 'outcome', 'took', 'detail'],
    ingest.timeline.map(({ at, attempt, step, outcome, duration_ms: ms, detail }) => [
      at,
      String(attempt),
      step,
      outcome,
      ms === null ? '' : `${ms} ms`,
      detail ?? '',
    ]),
  )
  return EXIT.fine
}

type Told = IngestView & { readonly timeline: readonly TimelineView[] }

async function findIngest(api: Api, id: string): Promise<Told> {
  try {
    return await api.call('GET', `/v1/ingests/${encodeURIComponent(id)}`)
  } catch (error) {
    if (error instanceof ApiRefusal && error.status === 404)
      throw new CommandError(EXIT.usage, `There is no ingest ${id}.`, error)
    throw error
  }
}
