import { humanBytes } from '@sluice/core'
import { type Api, ApiRefusal, itemsOf } from './api.ts'
import { inGroups, mapBounded } from './import-bounded.ts'
import { hashBytes } from './import-bytes.ts'
import { concludeImport, showImport } from './import-end.ts'
import { EXIT, type ExitCode, CommandError } from './command-error.ts'
import { byLine, followImport } from './import-follow.ts'
import type { PlanFile, PlanLine } from './import-plan.ts'
import { count, countOf, type Progress } from './progress.ts'
import { noRows, writeReport } from './import-report.ts'
import type { LocalRow } from './import-row.ts'
import { setInMotion } from './import-run.ts'
import { uploadMissing } from './import-send.ts'
import { importPath, type ImportView, type RowView } from './import-views.ts'
import { say } from './print.ts'

export interface ApplyOptions {
  readonly plan: PlanFile
  readonly planPath: string
  readonly concurrency: number
  readonly reportPath: string | null
  readonly progress: Progress
  readonly onImport: (id: string, isApplying: boolean) => void
}

/** Does what a plan says, and nothing else. */
export async function applyPlan(api: Api, options: ApplyOptions): Promise<ExitCode> {
  const { plan, planPath, progress, reportPath } = options
  const { import: id, plan_hash: hash } = plan.head
  const before = await findImport(api, id)
  if (before.state === 'finished' || before.state === 'undone')
    throw new CommandError(EXIT.someFailed, `${planPath} was applied before: import ${id} is ${before.state}.`)
  options.onImport(id, before.state !== 'planned' && before.state !== 'open')
  if (before.state === 'open' || before.state === 'planned') {
    if (before.plan_hash !== hash)
      throw new CommandError(EXIT.someFailed, `${planPath} is not the plan of import ${id} any more: make a new one.`)
    await uploadPlanned(api, options)
  }
  options.onImport(id, true)
  await setInMotion(api, before, hash).catch((error: unknown) => {
    if (!(error instanceof ApiRefusal) || error.code !== 'plan_outdated') throw error
    throw new CommandError(EXIT.someFailed, `Nothing was applied: ${error.message}. Make a new plan of what is there now.`, error)
  })
  const seen = await followImport(api, id, { progress, nameRows: byLine })
  if (reportPath !== null) await tellReport(api, id, reportPath, localsOf(plan))
  return concludeImport(seen)
}

const ROWS_AT_ONCE = 500

/** Bytes that are not what they were when the plan was made are not brought: it would not be that plan. */
async function uploadPlanned(api: Api, { plan, planPath, concurrency, progress }: ApplyOptions): Promise<void> {
  let rows = 0
  let files = 0
  let bytes = 0
  progress.begin('Sending', plan.head.counts.total)
  try {
    for await (const page of inGroups(plan.rows(), ROWS_AT_ONCE)) {
      const needed = page.filter(({ action, bytes }) => bytes && action !== 'skip' && action !== 'refuse')
      const prepared = await mapBounded(
        needed,
        concurrency,
        async (line) => [localOf(line), await hashPlanned(line, planPath)] as const,
      )
      const refused = await uploadMissing(api, prepared, concurrency, (size) => {
        files += 1
        bytes += size
        progress.update(rows, `${countOf(files, 'file')}, ${humanBytes(bytes)}`)
      })
      const [fault] = refused.values()
      if (fault) progress.note(`${countOf(refused.size, 'file')} refused: ${fault.field} ${fault.message}`)
      rows += page.length
      progress.update(rows)
    }
    progress.note(`Uploaded: ${countOf(files, 'file')}, ${humanBytes(bytes)}.`)
  } finally {
    progress.end()
  }
}

async function hashPlanned(line: PlanLine, planPath: string): Promise<Awaited<ReturnType<typeof hashBytes>>> {
  if (!line.bytes) return { fault: { field: 'source', message: 'is missing' } }
  const outcome = await hashBytes(line.bytes)
  const where = line.file ?? `line ${line.line}`
  if ('fault' in outcome)
    throw new CommandError(EXIT.someFailed, `Nothing was applied. ${where}: ${outcome.fault.field} ${outcome.fault.message}.`)
  if (line.source?.sha256 !== undefined && line.source.sha256 !== outcome.value.digest)
    throw new CommandError(
      EXIT.someFailed,
      `Nothing was applied. ${where} has changed since ${planPath} was made: make a new plan.`,
    )
  return outcome
}

function localOf({ line, file, bytes }: PlanLine): LocalRow {
  return { line, where: file ?? `line ${line}`, fields: {}, bytes: bytes ?? null, fault: null }
}

async function* localsOf(plan: PlanFile): AsyncGenerator<LocalRow> {
  for await (const line of plan.rows()) yield localOf(line)
}

export interface StatusOptions {
  readonly json: boolean
  readonly reportPath: string | null
}

export async function showStatus(api: Api, id: string, { json, reportPath }: StatusOptions): Promise<ExitCode> {
  const seen = await findImport(api, id)
  if (json) say(JSON.stringify(seen, null, 2))
  else showImport(seen)
  if (reportPath !== null) await tellReport(api, seen.id, reportPath, noRows())
  return seen.counts.states.failed + seen.counts.states.invalid > 0 ? EXIT.someFailed : EXIT.fine
}

interface UndoOptions {
  readonly force: boolean
  readonly progress: Progress
}

interface ProductView {
  readonly product: string
  readonly state: string
  readonly error: RowView['error']
}

export async function undoImport(api: Api, id: string, { force, progress }: UndoOptions): Promise<ExitCode> {
  const { state } = await findImport(api, id)
  if (state === 'open' || state === 'planned')
    throw new CommandError(EXIT.usage, `Import ${id} was never applied: there is nothing to undo.`)
  if (state === 'applying') await api.call('POST', `${importPath(id)}/stop`)
  if (state === 'applying' || state === 'stopping') await followImport(api, id, { progress, nameRows: byLine })
  if (state !== 'undoing') await api.call('POST', `${importPath(id)}/undo`, { json: { force } })
  const { undo } = await followImport(api, id, { progress, nameRows: byLine })
  const left = (undo?.changed_since ?? 0) + (undo?.unrestorable ?? 0)
  say(`${countOf(undo?.restored ?? 0, 'product')} put back as before, ${count(left)} left.`)
  if (left === 0) return EXIT.fine
  for (const reason of ['changed_since', 'unrestorable']) {
    for await (const { product, error } of itemsOf<ProductView>(api, `${importPath(id)}/products?state=${reason}&limit=100`))
      say(`  ${product}  ${reason.replace('_', ' ')}${error ? `: ${error.detail ?? error.title}` : ''}`)
  }
  if (!force && undo && undo.changed_since > 0)
    say(`"sluice import undo ${id} --force" puts those back that others have changed since.`)
  return EXIT.someFailed
}

async function findImport(api: Api, id: string): Promise<ImportView> {
  try {
    return await api.call('GET', importPath(id))
  } catch (error) {
    if (error instanceof ApiRefusal && error.status === 404)
      throw new CommandError(EXIT.usage, `There is no import ${id}.`, error)
    throw error
  }
}

async function tellReport(api: Api, id: string, path: string, locals: AsyncIterable<LocalRow>): Promise<void> {
  const rows = await writeReport(api, id, path, locals)
  say(`The report of ${countOf(rows, 'row')} is in ${path}.`)
}
