import { isUuid } from '@sluice/core'
import { Command, InvalidArgumentError, Option } from 'commander'
import { type Api, itemsOf } from './api.ts'
import { EXIT } from './command-error.ts'
import { type Filter, filterOf, type FilterOptions, listPath, PAGE_MAX, withFilter } from './ingest-filter.ts'
import { addTo, readCount } from './option-values.ts'
import { exitForUsage, overApi, type ServerOptions, withServer } from './over-api.ts'
import { say } from './print.ts'
import { count, countOf, type Progress } from './progress.ts'

interface ReplayOptions extends ServerOptions, FilterOptions {
  readonly all?: true
  readonly dryRun?: true
  readonly limit?: number
  readonly json?: true
}

/** Tries again what was given up. */
export function replayCommand(): Command {
  return withServer(withFilter(new Command('replay')))
    .description('try failed ingests again: those that are named, or those that a filter lets through')
    .argument('[id...]', 'as "ingests list" shows them', readId)
    .option('--all', 'all that have failed')
    .option('--dry-run', 'only say what would be done')
    .addOption(new Option('--limit <n>', 'how many at most, newest first').argParser(readCount(1_000_000)))
    .option('--json', 'what was done, as one JSON document')
    .showHelpAfterError('(add --help for help)')
    .addHelpText('after', HELP)
    .exitOverride(exitForUsage)
    .action(replayAction)
}

function readId(id: string, before: readonly string[] = []): readonly string[] {
  if (isUuid(id)) return addTo(id, before)
  throw new InvalidArgumentError(`"${id}" is no id of an ingest.`)
}

const HELP = `
Examples:
  $ sluice replay 0197f1c2-3a4b-7c5d-8e6f-0123456789ab
  $ sluice replay --code source_unavailable --since 24h --dry-run
  $ sluice replay --code source_unavailable --since 24h
  $ sluice replay --all --limit 10                  a few first, to see whether the cause is mended

Only what has failed is replayed. What was rejected is at fault itself: mend it, and send it again.
Ends with 0 when all is well, 1 when some were refused, 2 when it was called wrongly, 3 when the server cannot be reached.
`

async function replayAction(given: readonly string[] | undefined, options: ReplayOptions, command: Command): Promise<void> {
  const ids = given ?? []
  const filter = filterOf(options)
  const isFiltered = Object.keys(filter).length > 0
  if (ids.length === 0 && !isFiltered && !options.all) command.error('Say which: ids, a filter, or --all.')
  if (ids.length > 0 && (isFiltered || options.all)) command.error('Give either ids or a filter.')
  if (ids.length > 0 && options.limit !== undefined) command.error('--limit is for a filter, and ids are counted already.')
  const isDryRun = options.dryRun ?? false
  const done: Report = { matched: 0, replayed: 0, refused: [] }
  const work = async (api: Api, progress: Progress) => {
    await (ids.length > 0
      ? replayThese(api, ids, isDryRun, done)
      : replayFiltered(api, { filter, isDryRun, max: options.limit ?? Infinity }, done, progress))
    if (options.json) say(JSON.stringify(done, null, 2))
    else tell(done, isDryRun)
    return done.refused.length > 0 ? EXIT.someFailed : EXIT.fine
  }
  await overApi(options, work, () => {
    process.stderr.write(`Stopped: ${countOf(done.replayed, 'ingest')} replayed so far. The same command goes on.\n`)
    return EXIT.interrupted
  })
}

interface Refusal {
  readonly id: string
  readonly code: string
  readonly detail: string
}

interface Page {
  readonly matched: number
  readonly replayed: number
  readonly refused: readonly Refusal[]
  readonly next: string | null
}

/** What was done so far. */
interface Report {
  matched: number
  replayed: number
  readonly refused: Refusal[]
}

function add(done: Report, { matched, replayed, refused }: Page): void {
  done.matched += matched
  done.replayed += replayed
  done.refused.push(...refused)
}

const ask = (api: Api, json: object): Promise<Page> => api.call('POST', '/v1/ingests/replay', { json })

async function replayThese(api: Api, ids: readonly string[], isDryRun: boolean, done: Report): Promise<void> {
  for (let at = 0; at < ids.length; at += PAGE_MAX) {
    add(done, await ask(api, { ids: ids.slice(at, at + PAGE_MAX), dry_run: isDryRun }))
  }
}

interface Asked {
  readonly filter: Filter
  readonly isDryRun: boolean
  readonly max: number
}

async function replayFiltered(api: Api, { filter, isDryRun, max }: Asked, done: Report, progress: Progress): Promise<void> {
  let before: string | null = null
  let isLong = false
  do {
    const page: Page = await ask(api, {
      ...filter,
      ...(before !== null && { before }),
      limit: Math.min(PAGE_MAX, max - done.matched),
      dry_run: isDryRun,
    })
    add(done, page)
    before = page.next
    if (before !== null && done.matched < max && !isLong) {
      isLong = true
      const total = done.matched + (await countFailed(api, { ...filter, before }, max - done.matched))
      progress.begin(isDryRun ? 'Looking' : 'Replaying', total, done.matched, 'ingests')
    }
    progress.update(done.matched, done.refused.length > 0 ? `${count(done.refused.length)} refused` : '')
  } while (before !== null && done.matched < max)
  progress.end()
}

/** Of what is still to come; a list is cheap, compared with what is done to each. */
async function countFailed(api: Api, filter: Filter & { readonly before: string }, max: number): Promise<number> {
  let counted = 0
  for await (const _ of itemsOf(api, listPath({ ...filter, state: ['failed'] }, PAGE_MAX))) if (++counted >= max) break
  return counted
}

const IDS_SHOWN = 10

function tell({ matched, replayed, refused }: Report, isDryRun: boolean): void {
  if (matched === 0 && refused.length === 0) return say('No failed ingest is like that.')
  const possible = isDryRun ? matched - refused.filter(({ code }) => code !== 'ingest_unknown').length : replayed
  say(`${countOf(possible, 'ingest')} ${isDryRun ? 'would be replayed' : 'replayed'}, ${count(refused.length)} refused.`)
  for (const [code, those] of Map.groupBy(refused, (refusal) => refusal.code)) {
    say(`${code}: ${those[0]?.detail ?? ''}`)
    for (const { id } of those.slice(0, IDS_SHOWN)) say(`  ${id}`)
    if (those.length > IDS_SHOWN) say(`  and ${count(those.length - IDS_SHOWN)} more: --json names them all`)
  }
}
