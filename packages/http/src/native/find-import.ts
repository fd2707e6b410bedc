/** The import that a request names. */
import type { FastifyRequest } from 'fastify'
import { type Import, type ImportId, type IntakeWorld, isUuid, SluiceError } from '@sluice/core'
import type { Static } from 'typebox'
import { callerOf } from '../authenticate.ts'
import type { ImportParams } from './import-schemas.ts'
import { importView } from './import-views.ts'

export type ImportRequest = FastifyRequest<{ Params: Static<typeof ImportParams> }>

function importId({ params }: ImportRequest): ImportId {
  if (!isUuid(params.import)) throw new SluiceError('import_unknown')
  return params.import.toLowerCase() as ImportId
}

/** Throws `import_unknown`, for another tenant's import as well. */
export async function findImport({ database }: Pick<IntakeWorld, 'database'>, request: ImportRequest): Promise<Import> {
  const given = await database.imports.find(callerOf(request).tenantId, importId(request))
  if (!given) throw new SluiceError('import_unknown')
  return given
}

export async function wholeView({ database, now }: Pick<IntakeWorld, 'database' | 'now'>, given: Import) {
  return importView(given, await database.imports.progress(given.tenantId, given.id), now())
}
