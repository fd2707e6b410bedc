/** The five forms in which an image comes in, and the one thing that they all mean. */
import type { FastifyRequest } from 'fastify'
import {
  type Caller,
  type FileId,
  type IntakeWorld,
  isUuid,
  type Origin,
  redeclare,
  SluiceError,
  type StagedUpload,
  stageUpload,
  urlOrigin,
} from '@sluice/core'
import { STRICT_BASE64 } from '../bodies/base64.ts'
import { type FormProfile, readUpload } from '../bodies/read-upload.ts'
import { deadlineOf } from '../body-deadline.ts'

/** Where the image comes from, and everything else that the request said. */
export interface Given {
  readonly from: Origin
  readonly fields: Readonly<Record<string, unknown>>
}

/** What an upload looks like here. */
const FORM: FormProfile = {
  filePart: 'file',
  base64: { path: ['file', 'base64'], policy: STRICT_BASE64 },
  raw: true,
}

/** The forms become one: staged bytes, a file id or an address, and the fields beside them. */
export async function readSource(
  world: IntakeWorld,
  caller: Caller,
  request: FastifyRequest,
  inAddress: Readonly<Record<string, unknown>>,
): Promise<Given> {
  const { tenantId } = caller
  const signal = deadlineOf(request)
  const body = await readUpload(request.raw, {
    limits: world.limits,
    signal,
    form: FORM,
    stage: (bytes, { declaredType, fileName }) =>
      stageUpload(world, tenantId, bytes, { contentType: declaredType, fileName, typeMustMatch: declaredType !== null }, signal),
  })
  try {
    const { file, file_id: givenId, url: givenUrl, ...fields } = { ...inAddress, ...body.fields } as Record<string, unknown>
    // As with every other field, null is the same as nothing.
    const fileId = givenId ?? undefined
    const url = givenUrl ?? undefined
    const sources = [body.staged ?? file ?? undefined, fileId, url].filter((source) => source !== undefined)
    if (sources.length > 1)
      throw new SluiceError('source_ambiguous', 'Give the file itself, a file_id or a url, not several of them.')
    if (url !== undefined) return { from: urlOrigin(world, urlText(url), null), fields }
    if (body.staged) return declareStaged(world, body.staged, file, fields)
    if (fileId === undefined)
      throw new SluiceError(
        'source_missing',
        'Send a file as multipart/form-data, as JSON with file.base64, as a raw image body, or give a file_id or a url.',
      )
    if (typeof fileId !== 'string' || !isUuid(fileId))
      throw new SluiceError('file_reference_unknown', 'file_id must be the id of a file.')
    return { from: fileId.toLowerCase() as FileId, fields }
  } catch (error) {
    await body.staged?.discard()
    throw error
  }
}

function urlText(url: unknown): string {
  if (typeof url !== 'string') throw new SluiceError('url_invalid', 'url must be a text: the address of the file.')
  return url
}

/** In JSON the type and the name stand beside the content, before or after it, and the file's name is also the image's. */
function declareStaged(world: IntakeWorld, staged: StagedUpload, file: unknown, fields: Given['fields']): Given {
  const { contentType, fileName } =
    file === undefined ? { contentType: staged.source.declaredType, fileName: staged.source.fileName } : readFileMember(file)
  const from = redeclare(world, staged, { contentType, fileName, typeMustMatch: true })
  return { from, fields: file === undefined || fileName === null ? fields : { name: fileName, ...fields } }
}

function readFileMember(file: unknown): { contentType: string | null; fileName: string | null } {
  if (typeof file !== 'object')
    throw new SluiceError('request_invalid', 'file cannot stand in the address: the body is the file.', {
      details: { field: 'file' },
    })
  const { media_type: contentType = null, name: fileName = null, base64: _content, ...rest } = file as Record<string, unknown>
  const [unknown] = Object.keys(rest)
  if (unknown !== undefined) throw new SluiceError('request_invalid', `file.${unknown} is not a field of this request.`)
  if (contentType !== null && typeof contentType !== 'string')
    throw new SluiceError('request_invalid', 'file.media_type must be a text.')
  if (fileName !== null && typeof fileName !== 'string') throw new SluiceError('request_invalid', 'file.name must be a text.')
  return { contentType, fileName }
}
