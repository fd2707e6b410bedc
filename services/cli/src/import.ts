import { setTimeout as sleep } from 'node:timers/promises'
import { Command, Option } from 'commander'
import { type Api, openApi } from './api.ts'
import { EXIT, type ExitCode } from './command-error.ts'
import { applyPlan, showStatus, undoImport } from './import-commands.ts'
import type { ManifestFormat } from './import-manifest.ts'
import { DEFAULT_PATTERN, readPattern } from './import-pattern.ts'
import { openPlan } from './import-plan.ts'
import { runImport } from './import-run.ts'
import { openSource } from './import-source.ts'
import { importPath, type ImportView } from './import-views.ts'
import { readCount, readSeconds } from './option-values.ts'
import { exitForUsage, overApi, type ServerOptions, withServer } from './over-api.ts'
import type { Progress } from './progress.ts'

interface ImportOptions extends ServerOptions {
  readonly plan?: string | true
  readonly sync?: true
  readonly createProducts?: true
  readonly park: number
  readonly onError: 'skip' | 'stop'
  readonly pattern: string
  readonly format?: ManifestFormat
  readonly report?: string
  readonly concurrency: number
}

/** Brings many images in at one time, and takes them back. */
export function importCommand(): Command {
  const command = withServer(new Command('import'))
    .description('bring in many images: from a folder, or from a manifest in CSV or JSON Lines')
    .argument('[source]', 'a folder, a .csv, a .jsonl, or - for a manifest on stdin')
    .option('--plan [file]', 'only say what would be done, and write it to a file (<source>.plan.jsonl)')
    .option('--sync', 'the products named get exactly these images: others are detached')
    .option('--create-products', 'make products of SKUs that are not known')
    .option('--park <duration>', 'how long rows wait for products that are not there yet, as 90s, 15m, 24h, 7d', readSeconds, 0)
    .addOption(onError())
    .option('--pattern <regex>', 'how file names of a folder are made; groups sku, position, role, label, store', DEFAULT_PATTERN)
    .addOption(new Option('--format <format>', 'of a manifest whose name does not tell').choices(['csv', 'jsonl']))
    .addOption(report())
    .addOption(concurrency())
    .enablePositionalOptions()
    .showHelpAfterError('(add --help for help)')
    .addHelpText('after', HELP)
    .exitOverride(exitForUsage)
    .action(importAction)
  withServer(command.command('apply'))
    .description('do what a plan says, if nothing has changed since it was made')
    .argument('<plan>', 'the file that --plan has written')
    .addOption(report())
    .addOption(concurrency())
    .action(applyAction)
  withServer(command.command('undo'))
    .description('put products back as they were before an import')
    .argument('<import>', 'its id')
    .option('--force', 'also those that others have changed since')
    .action(undoAction)
  withServer(command.command('status'))
    .description('show how far an import is')
    .argument('<import>', 'its id')
    .option('--json', 'as the API tells it')
    .addOption(report())
    .action(statusAction)
  return command
}

const HELP = String.raw`
Examples:
  $ sluice import photos/                           shirt_1.jpg is image 1 of the product "shirt"
  $ sluice import photos/ --plan                    what would be done, and why
  $ sluice import apply photos.plan.jsonl
  $ sluice import spring.csv --sync --report out.jsonl
  $ sluice import photos/ --pattern '(?<sku>[A-Z]+\d+)-(?<role>small_image|thumbnail)\..*'
  $ zcat spring.jsonl.gz | sluice import -
  $ sluice import undo 0197f1c2-3a4b-7c5d-8e6f-0123456789ab

A manifest has a row for each image: sku (or product), one of path, url, base64, file_id and sha256, and, where wanted, label,
position, roles, main, excluded, name and stores. Paths are relative to the manifest. A folder named "apply" is written ./apply.

What the server has is not sent again, and what was interrupted goes on when the same command is given again.
Ends with 0 when all is well, 1 when rows failed, 2 when it was called wrongly, 3 when the server cannot be reached.
`

const onError = () =>
  new Option('--on-error <what>', 'what a row that fails means for the others').choices(['skip', 'stop']).default('skip')
const report = () => new Option('--report <file>', 'write what became of each row, as JSON Lines')
const concurrency = () =>
  new Option('--concurrency <n>', 'files that are hashed and uploaded at the same time').argParser(readCount(64)).default(8)

async function importAction(source: string | undefined, options: ImportOptions, command: Command): Promise<void> {
  // In "import --plan photos/" the folder is taken for the name of the plan, and nobody would mean that.
  const argument = source ?? (typeof options.plan === 'string' ? options.plan : null)
  if (argument === null) return command.error('Say what is to be imported: a folder, a .csv, a .jsonl, or - for stdin.')
  const plan = source === undefined ? true : options.plan
  await inSession(options, async (api, session) => {
    const pattern = readPattern(options.pattern)
    await using source = await openSource(argument, { pattern, format: options.format ?? null, signal: api.signal })
    const planPath = plan === true ? `${source.name}.plan.jsonl` : (plan ?? null)
    return await runImport(api, {
      ...session,
      source,
      planPath,
      reportPath: options.report ?? null,
      concurrency: options.concurrency,
      settings: {
        mode: options.sync ? 'sync' : 'add',
        on_error: options.onError,
        create_products: options.createProducts ?? false,
        park_seconds: options.park,
      },
    })
  })
}

async function applyAction(path: string, options: ServerOptions & Pick<ImportOptions, 'report' | 'concurrency'>): Promise<void> {
  await inSession(options, async (api, session) =>
    applyPlan(api, {
      ...session,
      plan: await openPlan(path),
      planPath: path,
      reportPath: options.report ?? null,
      concurrency: options.concurrency,
    }),
  )
}

async function undoAction(id: string, options: ServerOptions & { force?: true }): Promise<void> {
  await inSession(options, (api, { progress }) => undoImport(api, id, { force: options.force ?? false, progress }))
}

async function statusAction(id: string, options: ServerOptions & { json?: true; report?: string }): Promise<void> {
  await inSession(options, (api) => showStatus(api, id, { json: options.json ?? false, reportPath: options.report ?? null }))
}

interface Session {
  readonly progress: Progress
  readonly onImport: (id: string, isApplying: boolean) => void
}

/** Ctrl-C stops what is under way, here and on the server, and says how to go on; a second one leaves at once. */
async function inSession(options: ServerOptions, work: (api: Api, session: Session) => Promise<ExitCode>): Promise<void> {
  let running: { readonly id: string; readonly isApplying: boolean } | null = null
  const onImport: Session['onImport'] = (id, isApplying) => (running = { id, isApplying })
  await overApi(
    options,
    (api, progress) => work(api, { progress, onImport }),
    () => leave(running, options),
  )
}

const STOP_MS_MAX = 10_000

async function leave(
  running: { readonly id: string; readonly isApplying: boolean } | null,
  { url, token = '' }: ServerOptions,
): Promise<ExitCode> {
  if (!running?.isApplying) {
    process.stderr.write('Stopped. Nothing was applied. The same command goes on where this one stopped.\n')
    return EXIT.interrupted
  }
  const api = openApi({ url, token, signal: AbortSignal.timeout(STOP_MS_MAX) })
  const isStopped = await stopImport(api, running.id).catch(() => false)
  const what = isStopped
    ? 'Stopped: nothing more is begun.'
    : 'The import could not be stopped: it is over, or the server goes on with it.'
  process.stderr.write(`${what} The same command goes on with it; "sluice import status ${running.id}" shows how far it is.\n`)
  return EXIT.interrupted
}

/** While it is planned it cannot be stopped yet, and afterwards it would be applied. False: it was over before. */
async function stopImport(api: Api, id: string): Promise<boolean> {
  for (;;) {
    const { status } = await api.send('POST', `${importPath(id)}/stop`)
    if (status !== 409) return status < 300
    const { state } = await api.call<ImportView>('GET', importPath(id))
    if (state !== 'open' && state !== 'planned') return false
    await sleep(200, undefined, { signal: api.signal })
  }
}
