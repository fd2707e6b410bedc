/** `sluice import <source>`: what is given becomes an import, or is found to be one that was begun before. */
import { humanBytes } from '@sluice/core'
import { type Api, ApiRefusal, itemsOf } from './api.ts'
import { concludeImport } from './import-end.ts'
import { EXIT, type ExitCode, CommandError } from './command-error.ts'
import { ERRORS_SHOWN, followImport, type NameRows } from './import-follow.ts'
import { writePlan } from './import-plan.ts'
import { countOf, type Progress } from './progress.ts'
import { openFaultNotes, writeReport } from './import-report.ts'
import type { LocalRow, RowFault } from './import-row.ts'
import { sendRows, type Sent } from './import-send.ts'
import { type RowSource, type Survey, surveySource } from './import-source.ts'
import { type ImportHead, importPath, type ImportView } from './import-views.ts'
import { say } from './print.ts'

/** As the API takes them. */
interface ImportSettings {
  readonly mode: 'add' | 'sync'
  readonly on_error: 'skip' | 'stop'
  readonly create_products: boolean
  readonly park_seconds: number
}

export interface RunOptions {
  readonly source: RowSource
  readonly settings: ImportSettings
  readonly concurrency: number
  /** Where the plan goes; null: the import is applied. */
  readonly planPath: string | null
  readonly reportPath: string | null
  readonly progress: Progress
  /** Told of the import as soon as there is one, so that it can be stopped. */
  readonly onImport: (id: string, isApplying: boolean) => void
}

export async function runImport(api: Api, options: RunOptions): Promise<ExitCode> {
  const { source, planPath, progress } = options
  const survey = await readSurvey(options)
  if (survey.rows === 0) return nothingToDo(survey)
  const notes = openFaultNotes()
  const name = nameOf(source, survey, planPath !== null)
  const found = await findUnfinished(api, name, planPath !== null)
  if (found) progress.note(`Going on with import ${found.id}, begun at ${found.created_at}.`)
  const begun = found ?? (await api.call<ImportView>('POST', '/v1/imports', { json: { name, ...options.settings } }))
  options.onImport(begun.id, begun.state !== 'open')
  if (begun.state === 'open') await send(api, options, survey, begun, (line, fault) => notes.note(line, fault))

  if (planPath !== null) {
    const planned: ImportView = await api.call('POST', `${importPath(begun.id)}/plan`)
    if (planned.plan_hash === null)
      throw new CommandError(EXIT.someFailed, `Import ${begun.id} has no plan: rows were added to it meanwhile.`)
    await writePlan(api, { ...planned, plan_hash: planned.plan_hash }, planPath, source.rows(), notes)
    return planned.counts.states.invalid + (planned.counts.actions['refuse'] ?? 0) > 0 ? EXIT.someFailed : EXIT.fine
  }
  options.onImport(begun.id, true)
  await setInMotion(api, begun)
  const seen = await followImport(api, begun.id, { progress, nameRows: nameRowsOf(source), notes })
  if (options.reportPath !== null) {
    const rows = await writeReport(api, begun.id, options.reportPath, source.rows(), notes)
    say(`The report of ${countOf(rows, 'row')} is in ${options.reportPath}.`)
  }
  return concludeImport(seen)
}

async function readSurvey({ source, settings, progress }: RunOptions): Promise<Survey> {
  let others = 0
  const survey = await surveySource(source, settings, (path) => {
    if (++others <= 5) progress.note(`${path}: left out, its name does not match the pattern`)
  })
  if (others > 5) progress.note(`${countOf(others - 5, 'more file')} left out, whose names do not match the pattern`)
  if (settings.mode === 'sync' && survey.unreadable > 0)
    throw new CommandError(
      EXIT.usage,
      `${countOf(survey.unreadable, 'line')} of ${source.name} cannot be read: with --sync each must be, or images would be detached that it may be about. Nothing was done.`,
    )
  return survey
}

function nothingToDo({ others }: Survey): ExitCode {
  say('There is nothing to import.')
  if (others === 0) return EXIT.fine
  say('The names of all files were unlike the pattern; --pattern says how they are made.')
  return EXIT.usage
}

/** The same rows, files and settings have the same name, so that a later run finds what an earlier one began. */
function nameOf({ name }: RowSource, { fingerprint }: Survey, isPlan: boolean): string {
  return `${name.slice(0, 200)}${isPlan ? ' plan' : ''} #${fingerprint.slice(0, 20)}`
}

/** Far more than anyone begins between a run and its repeat. */
const IMPORTS_LOOKED_AT = 500

/** One that is over is not gone on with: its rows are tried again, and those that are there are skipped. */
async function findUnfinished(api: Api, name: string, isPlan: boolean): Promise<ImportHead | null> {
  const states: readonly ImportHead['state'][] = isPlan ? ['open'] : ['open', 'applying', 'stopping', 'stopped']
  let looked = 0
  for await (const head of itemsOf<ImportHead>(api, '/v1/imports?limit=100')) {
    if (head.name === name && states.includes(head.state)) return head
    if (++looked >= IMPORTS_LOOKED_AT) break
  }
  return null
}

async function send(
  api: Api,
  { source, settings, concurrency, progress, planPath }: RunOptions,
  survey: Survey,
  { id }: ImportHead,
  note: (line: number, fault: RowFault) => void,
): Promise<void> {
  const uploads = planPath === null
  const { counts } = await api.call<ImportView>('GET', importPath(id))
  let faults = 0
  const onFault = (row: LocalRow, fault: RowFault) => {
    note(row.line, fault)
    faults += 1
    if (faults <= ERRORS_SHOWN) progress.note(`${row.where}: ${fault.field} ${fault.message}`)
    if (settings.on_error === 'stop' && uploads)
      throw new CommandError(EXIT.someFailed, `Stopped at ${row.where}, as --on-error stop asks. Nothing was applied.`)
  }
  progress.begin(uploads ? 'Sending' : 'Comparing', survey.rows, counts.total)
  const onProgress = ({ rows, files, bytes }: Sent) => progress.update(rows, files > 0 ? uploaded(files, bytes) : '')
  try {
    const sent = await sendRows(api, {
      importId: id,
      rows: source.rows(),
      sent: counts.total,
      uploads,
      concurrency,
      onProgress,
      onFault,
    })
    if (uploads) progress.note(`Uploaded: ${uploaded(sent.files, sent.bytes)}.`)
  } finally {
    progress.end()
  }
}

function uploaded(files: number, bytes: number): string {
  return `${countOf(files, 'file')}, ${humanBytes(bytes)}`
}

/** From wherever an earlier run has left it. */
export async function setInMotion(api: Api, { id, state }: Pick<ImportHead, 'id' | 'state'>, planHash?: string): Promise<void> {
  if (state === 'stopped') await api.call('POST', `${importPath(id)}/resume`)
  if (state !== 'open' && state !== 'planned') return
  try {
    await api.call('POST', `${importPath(id)}/apply`, { json: planHash === undefined ? {} : { plan_hash: planHash } })
  } catch (error) {
    // The answer to an earlier try was lost, or another run of the same command was faster: it is under way.
    if (!(error instanceof ApiRefusal) || error.code !== 'import_busy') throw error
  }
}

/** Reads what was given once more, and only until all are found. */
function nameRowsOf(source: RowSource): NameRows {
  return async (lines) => {
    const names = new Map<number, string>()
    for await (const { line, where } of source.rows()) {
      if (lines.has(line)) names.set(line, where)
      if (names.size === lines.size) break
    }
    return names
  }
}
